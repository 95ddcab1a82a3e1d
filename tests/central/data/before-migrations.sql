BEGIN TRANSACTION;
CREATE TABLE accounts (
	name VARCHAR(32) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	password_hash VARCHAR(200) NOT NULL, 
	generation INTEGER NOT NULL, 
	disabled BOOLEAN NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE acts (
	number INTEGER NOT NULL, 
	at_s BIGINT NOT NULL, 
	who VARCHAR(64) NOT NULL, 
	act VARCHAR(64) NOT NULL, 
	subject VARCHAR(128) NOT NULL, 
	reason VARCHAR(400) NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "acts" VALUES(1,1795510685,'administrator','node.code','','');
INSERT INTO "acts" VALUES(2,1795510685,'node 7383ee826e10a1cd','node.enrol','7383ee826e10a1cd','旧节点');
CREATE TABLE changes (
	number BIGINT NOT NULL, 
	sealed BLOB NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE codes (
	hash BLOB NOT NULL, 
	purpose VARCHAR(16) NOT NULL, 
	subject BLOB NOT NULL, 
	expires_s BIGINT NOT NULL, 
	used_by BLOB, 
	PRIMARY KEY (hash)
);
INSERT INTO "codes" VALUES(X'DCDADF3CF6F1AE1C4526CC77028B55AA64C768DE5087C0785085FFB4D59EF6FB','node',X'',1795514285,X'E013B2E1A8E575C16AF4EE6340E3113BDBFB9EB21A0DF51204341763BABC34A2');
CREATE TABLE consents (
	number INTEGER NOT NULL, 
	holder_id BLOB NOT NULL, 
	purpose VARCHAR(32) NOT NULL, 
	given BOOLEAN NOT NULL, 
	at_s BIGINT NOT NULL, 
	how VARCHAR(200) NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE counters (
	name VARCHAR(32) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE credentials (
	id BLOB NOT NULL, 
	holder_id BLOB NOT NULL, 
	type VARCHAR(64) NOT NULL, 
	valid_from_s BIGINT NOT NULL, 
	valid_until_s BIGINT, 
	sealed BLOB NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	status_changed_s BIGINT NOT NULL, 
	updated_s BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE gates (
	id VARCHAR(32) NOT NULL, 
	body BLOB NOT NULL, 
	created_s BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE holders (
	id BLOB NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	number_hash BLOB NOT NULL, 
	name_hash BLOB NOT NULL, 
	sealed BLOB NOT NULL, 
	created_s BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (number_hash)
);
CREATE TABLE journal (
	log VARCHAR(32) NOT NULL, 
	"index" BIGINT NOT NULL, 
	leaf BLOB NOT NULL, 
	record BLOB NOT NULL, 
	taken_s BIGINT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	decision VARCHAR(16) NOT NULL, 
	reason VARCHAR(32) NOT NULL, 
	scene VARCHAR(64) NOT NULL, 
	gate_id VARCHAR(32) NOT NULL, 
	verification_id VARCHAR(32) NOT NULL, 
	credential_id BLOB, 
	PRIMARY KEY (log, "index")
);
CREATE TABLE key_epochs (
	key_epoch INTEGER NOT NULL, 
	sealed BLOB NOT NULL, 
	PRIMARY KEY (key_epoch)
);
CREATE TABLE nodes (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	token_hash BLOB NOT NULL, 
	sign_public BLOB NOT NULL, 
	seal_public BLOB NOT NULL, 
	journal_log VARCHAR(32) NOT NULL, 
	enrolled_s BIGINT NOT NULL, 
	seen_s BIGINT NOT NULL, 
	revoked_s BIGINT, 
	report BLOB NOT NULL, 
	report_s BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (token_hash), 
	UNIQUE (journal_log)
);
INSERT INTO "nodes" VALUES('7383ee826e10a1cd','旧节点',X'8E6B2D4124CF1F35EDC0DB2FC3754ED939DEDAAE4EAAC95BD90DBBA4EF7D187B',X'C697278C577848EFF627706C21C15768B29E1A201FF23FA9996D24FEA33FDF22',X'E2B01977ADC7ECC5BBBC4568D8BC97567253B32E402472DD9EE26D24F819AB46','e047c6d86dc75f42be904352f4feeac7',1795510685,1795510685,NULL,X'',NULL);
CREATE TABLE photographs (
	holder_id BLOB NOT NULL, 
	pack VARCHAR(64) NOT NULL, 
	image BLOB NOT NULL, 
	template BLOB NOT NULL, 
	quality VARCHAR(32) NOT NULL, 
	created_s BIGINT NOT NULL, 
	PRIMARY KEY (holder_id, pack)
);
CREATE TABLE policies (
	scene VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	body BLOB NOT NULL, 
	changed_s BIGINT NOT NULL, 
	PRIMARY KEY (scene, version)
);
CREATE TABLE wallets (
	token_hash BLOB NOT NULL, 
	holder_id BLOB NOT NULL, 
	paired_s BIGINT NOT NULL, 
	PRIMARY KEY (token_hash)
);
CREATE INDEX ix_holders_name_hash ON holders (name_hash);
CREATE INDEX ix_consents_holder_id ON consents (holder_id);
CREATE INDEX ix_credentials_holder_id ON credentials (holder_id);
CREATE INDEX ix_wallets_holder_id ON wallets (holder_id);
CREATE INDEX journal_scene ON journal (scene, at_ms);
CREATE INDEX journal_gate_id ON journal (gate_id, at_ms);
CREATE INDEX journal_at ON journal (at_ms);
CREATE INDEX journal_taken ON journal (taken_s);
CREATE INDEX ix_journal_verification_id ON journal (verification_id);
CREATE INDEX journal_credential_id ON journal (credential_id, at_ms);
CREATE INDEX journal_reason ON journal (reason, at_ms);
CREATE INDEX journal_decision ON journal (decision, at_ms);
COMMIT;
