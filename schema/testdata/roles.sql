-- What all databases of the server share.
CREATE ROLE clerk;
CREATE ROLE "the boss";
CREATE ROLE auditor;
