"""What the nodes of a site share through Redis: what is spent, recent answers, wake-ups.

- Redis is told and asked, never needed: each part goes on without it and says so.
- Whatever is there is hidden, authenticated or sealed under the site's key; what isn't the site's
  is refused, not believed.
- `link` is the one owner of redis-py; `names` owns the key; `circuit` knows whether Redis is to
  be asked at all.
"""
