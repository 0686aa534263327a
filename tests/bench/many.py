"""A database with 100,000 tweets and as many posts, for the benchmark of posting and the tests of its plans."""

from mynah.database.connection import Connection

BOT = "demo"
TWEETS = 100_000
# A text has twelve words of 5,000, some of which are in many texts and most in few, as in a language. Of ten tweets,
# four are candidates, one is rejected, five are approved; of those, each of two accounts has all but one in fifty.


def fill(connection: Connection, tweets: int = TWEETS) -> None:
    """Write the rows as they would be after years; the triggers that keep the tables in step are left out."""
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(
            """
            INSERT INTO tweets
                (bot, text, written, text_key, judgement, state, score, prompt, model, decided_at, claimed_at,
                 posted_at, post_id, post_url, reason)
            SELECT %(bot)s, text, text, md5(text), judgement, state, random(), 'The', 'model-' || n / 5000,
                CASE WHEN judgement <> 'candidate' THEN now() END, CASE WHEN posted THEN made END,
                CASE WHEN posted THEN made END, CASE WHEN posted THEN 'm' || n END,
                CASE WHEN posted THEN 'https://x.com/i/web/status/' || n END,
                CASE WHEN judgement = 'rejected' THEN 'short: 3 words, fewer than 5' END
            FROM (SELECT *, CASE WHEN posted THEN 'posted' ELSE judgement END AS state FROM (
                SELECT n, now() - interval '1 hour' * (%(tweets)s - n) AS made,
                    'Text ' || n || (SELECT string_agg(' w' || power(5000, random())::integer, '')
                        FROM generate_series(1, 12) WHERE n = n) AS text,
                    CASE WHEN n %% 10 < 4 THEN 'candidate' WHEN n %% 10 = 4 THEN 'rejected' ELSE 'approved' END
                        AS judgement,
                    n %% 10 > 4 AND n %% 100 <> 99 AS posted
                FROM generate_series(1, %(tweets)s) AS n) AS _) AS _
            """,
            {"bot": BOT, "tweets": tweets},
        )
        connection.execute(
            """
            INSERT INTO posts (tweet_id, bot, account, text, text_key, state, claimed_at, posted_at, post_id, post_url)
            SELECT id, bot, account, text, text_key, state, made, CASE WHEN state = 'posted' THEN made END,
                CASE WHEN state = 'posted' THEN account || id END,
                CASE WHEN state = 'posted' THEN 'https://x.com/' || account || '/' || id END
            FROM (SELECT id, bot, account, text, text_key, now() - interval '1 hour' * (%(tweets)s - id) AS made,
                    CASE WHEN id %% 100 = 99 THEN 'returned' ELSE 'posted' END AS state
                FROM tweets CROSS JOIN (VALUES ('main'), ('news')) AS accounts (account)
                WHERE judgement = 'approved' AND id %% 200 <> CASE account WHEN 'main' THEN 99 ELSE 199 END
            ) AS _
            """,
            {"tweets": tweets},
        )
    connection.execute("VACUUM ANALYZE tweets, posts")
