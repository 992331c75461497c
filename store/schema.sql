-- The job file. Times are Unix milliseconds; tokens are integers; what came from the API is kept as it came.
--
-- The checks are chains of OR: an IN of more than two makes SQLite build a table of its values for every statement, which cost a
-- quarter of the time of a turn.

-- What was decided once for this file: the salt of its idempotency keys, fill-ins, shape, whether it is simulated.
CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The prompt files imported last, in the order of the command line.
CREATE TABLE inputs (
  number INTEGER PRIMARY KEY,
  path   TEXT NOT NULL,                    -- as its user named it
  place  TEXT NOT NULL,                    -- where that was
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
  size   INTEGER NOT NULL,
  rows   INTEGER NOT NULL
) STRICT;

-- Bad lines that --skip-invalid left out. They share the positions of the jobs.
CREATE TABLE skipped (
  position  INTEGER PRIMARY KEY,
  input     INTEGER NOT NULL,
  line      INTEGER NOT NULL,
  custom_id TEXT,
  message   TEXT NOT NULL
) STRICT;

-- Lines that ask what an earlier line asks, when answers may be shared: the job that stands at its position answers them, too. They share
-- the positions of the jobs.
CREATE TABLE shared (
  position  INTEGER PRIMARY KEY,
  input     INTEGER NOT NULL,
  line      INTEGER NOT NULL,
  custom_id TEXT,
  trimmed   INTEGER NOT NULL,
  carried   BLOB,
  first     INTEGER NOT NULL CHECK (first < position)
) STRICT;

CREATE TABLE runs (
  id         INTEGER PRIMARY KEY,
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,
  endpoint   TEXT NOT NULL,
  version    TEXT NOT NULL,
  reason     TEXT,
  rpm        REAL,                         -- the user's own limits; NULL is none
  tpm        REAL,
  CHECK ((ended_at IS NULL) = (reason IS NULL))
) STRICT;

-- How long the first in line was held in a run, and by what.
CREATE TABLE waits (
  run INTEGER NOT NULL,
  why TEXT NOT NULL,
  ms  INTEGER NOT NULL,
  PRIMARY KEY (run, why)
) STRICT, WITHOUT ROWID;

-- What a token costs, in picodollars (10^-12 US dollars), of calls whose prompt is longer than above. No row, no price.
CREATE TABLE prices (
  endpoint    TEXT NOT NULL,
  model       TEXT NOT NULL,               -- requested; '' is every model that has no row of its own
  above       INTEGER NOT NULL,            -- prompt tokens; the first row of a model has 0
  input       INTEGER NOT NULL,
  output      INTEGER NOT NULL,
  cached      INTEGER NOT NULL,
  cache_write INTEGER NOT NULL,
  reasoning   INTEGER NOT NULL,
  largest     INTEGER,                     -- answer in tokens; NULL is unknown
  source      TEXT NOT NULL,               -- in words
  given       INTEGER NOT NULL CHECK (given IN (0, 1)), -- by the user
  PRIMARY KEY (endpoint, model, above)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  id         INTEGER PRIMARY KEY,
  state      TEXT NOT NULL DEFAULT 'pending' CHECK (state = 'pending' OR state = 'running' OR state = 'done' OR state = 'failed'),
  position   INTEGER,                      -- place in the input; NULL when it is gone from there
  input      INTEGER NOT NULL,
  line       INTEGER NOT NULL,
  run_after  INTEGER NOT NULL DEFAULT 0,   -- a waiting retry; 0 when fresh
  last       INTEGER NOT NULL DEFAULT 0 CHECK (last IN (0, 1)), -- its answer stopped a run: claimed after all others
  run        INTEGER NOT NULL DEFAULT 0,   -- that claimed it last
  attempt    INTEGER,                      -- the open attempt, or the one that answered or failed the job
  attempts   INTEGER NOT NULL DEFAULT 0,   -- rows in attempts
  unknown    INTEGER NOT NULL DEFAULT 0,   -- of these, possibly paid
  used       INTEGER NOT NULL DEFAULT 0,   -- attempts used up since the job was last put back
  timeouts   INTEGER NOT NULL DEFAULT 0,
  limited    INTEGER NOT NULL DEFAULT 0,   -- rate limit episodes met
  invalid    INTEGER NOT NULL DEFAULT 0,   -- answers that were no good, since the job was last put back
  generation INTEGER NOT NULL DEFAULT 0,   -- of its idempotency key
  tokens     INTEGER NOT NULL,             -- estimated prompt tokens
  max_tokens INTEGER,                      -- the most that the request allows for its answer; NULL when it says nothing, 0 when nothing can
  model      TEXT NOT NULL,
  custom_id  TEXT,
  sample     INTEGER,                      -- which job of its line, from 1; NULL where a line is one job
  trimmed    INTEGER NOT NULL DEFAULT 0,   -- turns of its line that are not sent, as the conversation was too long
  key        BLOB NOT NULL CHECK (length(key) = 32),
  origin     BLOB CHECK (length(origin) = 32), -- key of its line, where retry changed the request; the line finds it by either
  replaced   INTEGER CHECK (replaced IS NULL OR position IS NULL), -- the job that retry put in its place; no line finds it again
  carried    BLOB,
  body       BLOB NOT NULL,
  CHECK ((state = 'pending') = (attempt IS NULL))
) STRICT;

-- One row for every call. It is written before anything is sent: class NULL means that no outcome is known yet.
CREATE TABLE attempts (
  id                INTEGER PRIMARY KEY,
  job               INTEGER NOT NULL,
  run               INTEGER NOT NULL,
  generation        INTEGER NOT NULL,
  started_at        INTEGER NOT NULL,
  duration_ms       INTEGER,
  class             TEXT CHECK (class = 'done' OR class = 'not_processed' OR class = 'unknown'
                      OR class = 'job_failed' OR class = 'run_stops' OR class = 'interrupted'),
  reason            TEXT,
  sent              INTEGER CHECK (sent IN (0, 1)),
  status            INTEGER,
  type              TEXT,
  code              TEXT,
  message           TEXT,
  request_id        TEXT,
  prompt_tokens     INTEGER,               -- reported; NULL is unknown
  completion_tokens INTEGER,
  total_tokens      INTEGER,
  cached_tokens      INTEGER,              -- parts of prompt_tokens
  cache_write_tokens INTEGER,
  reasoning_tokens   INTEGER,              -- a part of what is not prompt
  audio_tokens       INTEGER,
  body              BLOB,                  -- what came instead of an answer, its first 64 KiB; the whole of an answer that was no good
  CHECK ((class IS NULL) = (duration_ms IS NULL))
) STRICT;

CREATE TABLE answers (
  job               INTEGER PRIMARY KEY,
  assembled         INTEGER NOT NULL CHECK (assembled IN (0, 1)),
  finish_reason     TEXT,
  estimated_prompt  INTEGER,               -- counted locally when the API reported no usage
  estimated         INTEGER,
  response          BLOB NOT NULL
) STRICT;

-- Job files that answers were taken over from, one row for each endpoint that had given them.
CREATE TABLE sources (
  id       INTEGER PRIMARY KEY,
  file     TEXT NOT NULL,                  -- the same for every copy of it
  path     TEXT NOT NULL,                  -- where it was
  endpoint TEXT NOT NULL,
  UNIQUE (file, endpoint)
) STRICT;

-- Answers that were taken over: their calls are attempts of the file that they come from, and what they used was charged there.
-- Their jobs are done by the attempt 0.
CREATE TABLE reused (
  job               INTEGER PRIMARY KEY,
  source            INTEGER NOT NULL,
  original          INTEGER NOT NULL,      -- their job in that file
  status            INTEGER,
  duration_ms       INTEGER NOT NULL,
  request_id        TEXT,
  prompt_tokens     INTEGER,               -- reported; NULL is unknown
  completion_tokens INTEGER,
  total_tokens      INTEGER,
  cached_tokens      INTEGER,
  cache_write_tokens INTEGER,
  reasoning_tokens   INTEGER,
  audio_tokens       INTEGER
) STRICT;

-- Files that were written from this one, so that they may be replaced and nobody else's.
CREATE TABLE outputs (
  path       TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  options    TEXT NOT NULL,
  dev        INTEGER NOT NULL, inode      INTEGER NOT NULL, size      INTEGER NOT NULL, mtime_ns      INTEGER NOT NULL,
  prev_dev   INTEGER NOT NULL, prev_inode INTEGER NOT NULL, prev_size INTEGER NOT NULL, prev_mtime_ns INTEGER NOT NULL
) STRICT;

-- The pool's own waits: no call to this endpoint before that time. And the limits that it last stated, of requests and tokens.
CREATE TABLE limits (
  endpoint   TEXT PRIMARY KEY,
  not_before INTEGER NOT NULL DEFAULT 0,
  requests   INTEGER,
  tokens     INTEGER
) STRICT;
