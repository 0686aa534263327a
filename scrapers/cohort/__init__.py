"""The cohort source: accounts on X that follow the same leaders, and then their posts, as the x source reads them.

pages     what the bucket keeps of leaders' followers, and the cohort that was made of them
rank      who follows the most leaders
gather    the followers of one leader after the other, then the cohort, then its posts
price     what it would cost
"""

from scrapers.cohort.gather import scrape
from scrapers.cohort.price import estimate

__all__ = ["estimate", "scrape"]
