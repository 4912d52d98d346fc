CREATE TABLE "Zürich; Ost" (größe int, 名前 text, 😀 int);
INSERT INTO größen (名前) VALUES ('ÄÖÜ; ß€'); SELECT '日本';	SELECT 名前 FROM größen;
COMMENT ON COLUMN "Zürich; Ost".größe IS 'wie groß; und wie' /* ü */ ; SELECT 1
