-- standard_conforming_strings goes off and on.
SELECT 'a\';
SET standard_conforming_strings = off;
SELECT 'it\'s; here', E'a\'b', N'\'', B'1', "c\";
SELECT pg_catalog.set_config('standard_conforming_strings', 'on', false);
SELECT 'a\';
SET LOCAL standard_conforming_strings TO 'no';
SELECT 'one\'
;' '\';'
	';';
RESET standard_conforming_strings;
SELECT '\';
