"""What Redis is asked to do at once: small scripts, each on the keys of one shard.

- Each says which run of the server answered, so that a server that began anew is noticed; nothing
  where the server doesn't say, which is never taken for a run.
- A value of another type is told as text, never an error.
"""

import hashlib


class Script:
    """A Lua script, its name at the server, and how many values it gives."""

    def __init__(self, text: str, values: int) -> None:
        """Take the text."""
        self.text, self.values = text, values
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_INFO = """
local info = redis.pcall('INFO', 'server')
if type(info) == 'table' then info = '' end
local run = string.match(info, 'run_id:(%x+)') or ''
"""
SPEND = Script(_INFO + """
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'table' then held = 'another type' end
local known = held and tonumber(string.sub(held, 1, 10))
if not held or held == ARGV[4] or (known and known < tonumber(ARGV[2])) then
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
    held = ''
end
local mark = redis.pcall('GET', KEYS[2])
if type(mark) == 'table' then mark = 'another type' end
return {held, mark or '', run}
""", 3)
"""Names: credential, mark. Arguments: value, step, seconds, foreign value to be replaced."""
LOOK = Script(_INFO + """
local mark = redis.pcall('GET', KEYS[1])
if type(mark) == 'table' then mark = 'another type' end
if mark == ARGV[2] then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {mark or '', run, string.match(info, 'server_time_usec:(%d+)') or ''}
""", 3)
"""Name: mark. Arguments: seconds, the mark to keep alive. Gives also the server's clock."""
SET_MARK = Script("""
local mark = redis.pcall('GET', KEYS[1])
if type(mark) == 'table' then mark = 'another type' end
if (mark or '') == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
    mark = ARGV[2]
end
return {mark or ''}
""", 1)
