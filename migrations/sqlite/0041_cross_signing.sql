-- The keys with which users sign their devices and each other, and the signatures.

CREATE TABLE cross_signing_keys (
  user_id    TEXT NOT NULL,
  -- master, self_signing, user_signing
  usage      TEXT NOT NULL,
  -- Unpadded base64.
  public_key TEXT NOT NULL,
  -- JSON as it was uploaded.
  key        TEXT NOT NULL,
  PRIMARY KEY (user_id, usage)
) STRICT, WITHOUT ROWID;

-- Made by our users. What is signed may be a remote user's.
CREATE TABLE key_signatures (
  target_user_id TEXT NOT NULL,
  -- A device id, or a public key.
  target         TEXT NOT NULL,
  signer_user_id TEXT NOT NULL,
  -- With its algorithm.
  signer_key_id  TEXT NOT NULL,
  signature      TEXT NOT NULL,
  PRIMARY KEY (target_user_id, signer_user_id, target, signer_key_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX key_signatures_of_signer ON key_signatures (signer_user_id);
