"""The tweet API: a prompt is answered with cleaned, judged and ranked texts, from Postgres where it is known.

Where it is not, a model server writes them, woken first where it sleeps. Equal prompts that come together, to whichever
replica, are written once.
"""
