-- Version 6 to 7. Each part says what it is for.
SELECT 1;
