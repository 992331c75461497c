-- Built after a first import has loaded its rows: sorted input builds faster than it inserts.
CREATE UNIQUE INDEX IF NOT EXISTS jobs_position ON jobs (position) WHERE position IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_pending ON jobs (last, run_after, position) WHERE state = 'pending' AND position IS NOT NULL;
