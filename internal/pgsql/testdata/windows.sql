-- Windows line ends
CREATE TABLE a (
    b int -- c;
);

-- +migrate Down
DROP TABLE a;
COPY a FROM stdin WITH (FORMAT csv);
1
"x;y"
\.
SELECT 'one'
'two';
DO $$
BEGIN
  NULL;
END
$$;
