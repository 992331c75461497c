INSERT INTO settings VALUES ('salt', '00112233445566778899aabbccddeeff'), ('fill model', 'm'), ('simulated', 'false');
INSERT INTO inputs VALUES (1, 'prompts.jsonl', '/home/u/prompts.jsonl', zeroblob(32), 1234, 6);
INSERT INTO skipped VALUES (6, 1, 6, 'bad', 'messages: is missing');
INSERT INTO runs VALUES (1, 1000, 2000, 'https://a.example/v1', 'v0.1', 'interrupted'), (2, 3000, NULL, 'https://b.example/v1', 'v0.1', NULL);
INSERT INTO limits VALUES ('https://a.example/v1', 5000), ('https://b.example/v1', 0);
INSERT INTO jobs (id, state, position, input, line, run_after, last, run, attempt, attempts, unknown, used, timeouts, limited, generation,
  tokens, model, custom_id, key, carried, body) VALUES
  (1, 'done',    1,    1, 1, 0,    0, 1, 1,    1, 0, 0, 0, 0, 0, 10, 'm', 'one', zeroblob(32), CAST('{"k":1}' AS BLOB), CAST('{"prompt":"one"}' AS BLOB)),
  (2, 'done',    2,    1, 2, 0,    0, 1, 3,    2, 1, 1, 1, 0, 0, 20, 'm', NULL,  zeroblob(32), NULL,      CAST('{"prompt":"two"}' AS BLOB)),
  (3, 'failed',  3,    1, 3, 0,    0, 1, 4,    1, 0, 0, 0, 0, 2, 30, 'm', NULL,  zeroblob(32), NULL,      CAST('{"prompt":"three"}' AS BLOB)),
  (4, 'pending', 4,    1, 4, 9000, 1, 1, NULL, 1, 0, 0, 0, 3, 0, 40, 'n', NULL,  zeroblob(32), NULL,      CAST('{"prompt":"four"}' AS BLOB)),
  (5, 'running', 5,    1, 5, 0,    0, 2, 6,    1, 0, 0, 0, 0, 0, 50, 'n', NULL,  zeroblob(32), NULL,      CAST('{"prompt":"five"}' AS BLOB)),
  (6, 'done',    NULL, 1, 9, 0,    0, 1, 7,    1, 0, 0, 0, 0, 0, 60, 'n', NULL,  zeroblob(32), NULL,      CAST('{"prompt":"six"}' AS BLOB));
INSERT INTO attempts (id, job, run, generation, started_at, duration_ms, class, reason, sent, status, type, code, message, request_id,
  prompt_tokens, completion_tokens, total_tokens, body) VALUES
  (1, 1, 1, 0, 1001, 50, 'done', NULL, 1, 200, NULL, NULL, NULL, 'req-1', 11, 5, 16, NULL),
  (2, 2, 1, 0, 1002, 51, 'unknown', 'timeout', 1, NULL, NULL, NULL, 'no answer', NULL, NULL, NULL, NULL, NULL),
  (3, 2, 1, 0, 1003, 52, 'done', NULL, 1, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, 3, 1, 2, 1004, 53, 'job_failed', NULL, 1, 400, 'invalid_request_error', 'too_long', 'too long', 'req-4', 7, 0, 7, CAST('{"error":{}}' AS BLOB)),
  (5, 4, 1, 0, 1005, 54, 'not_processed', 'rate_limit', 1, 429, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (6, 5, 2, 0, 3001, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (7, 6, 1, 0, 1007, 55, 'done', NULL, 1, 200, NULL, NULL, NULL, NULL, 61, 6, 67, NULL);
INSERT INTO answers VALUES
  (1, 0, 'stop', NULL, NULL, CAST('answer to {"prompt":"one"}' AS BLOB)), (2, 1, NULL, 19, 25, CAST('answer to {"prompt":"two"}' AS BLOB)), (6, 0, 'length', NULL, NULL, CAST('six' AS BLOB));
INSERT INTO outputs VALUES ('/home/u/prompts.results.jsonl', 'results', 'flat', 1, 2, 3, 4, 5, 6, 7, 8);
