"""The x source: posts of accounts on X, through its API, with their cost reserved before each request.

names     whom to read
reader    one request: reserved, sent, waited for, and what X's answers mean
walk      one account: what is asked for next, and what an answer changes
sweep     all accounts, from where the last run stopped
price     what it would cost
"""

from scrapers.x.price import estimate
from scrapers.x.sweep import scrape

__all__ = ["estimate", "scrape"]
