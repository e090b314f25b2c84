# Makes keys, and tokens signed with them by PyJWT and by Authlib. Prints one JSON object: the key set, and the tokens by name.

import json
import time

import jwt
from authlib.jose import JsonWebKey, JsonWebToken

now = int(time.time())
CLAIMS = {"iss": "https://login.example.org", "aud": "imap", "sub": "fred", "scope": "imap smtp", "iat": now, "exp": now + 600}
ALGORITHMS = {
    "RS256": ("RSA", 2048), "RS512": ("RSA", 2048), "PS256": ("RSA", 2048), "PS384": ("RSA", 3072), "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"), "ES512": ("EC", "P-521"), "EdDSA": ("OKP", "Ed25519"),
}

keys, tokens = [], {}
for name, (kind, size) in ALGORITHMS.items():
    key = JsonWebKey.generate_key(kind, size, is_private=True)
    public = json.loads(key.as_json(is_private=False))
    keys.append({**public, "kid": name, "use": "sig", "alg": name})
    header = {"alg": name, "kid": name}
    tokens["Authlib " + name] = JsonWebToken([name]).encode({**header, "typ": "at+jwt"}, CLAIMS, key).decode()
    pem = key.as_pem(is_private=True).decode()
    tokens["PyJWT " + name] = jwt.encode(CLAIMS, pem, algorithm=name, headers={"kid": name})
    tokens["expired " + name] = jwt.encode({**CLAIMS, "exp": now - 600}, pem, algorithm=name, headers={"kid": name})

hmac = {"iss": CLAIMS["iss"], "aud": "imap", "sub": "root", "exp": now + 600}
tokens["forged none"] = jwt.encode(hmac, None, algorithm="none", headers={"kid": "RS256"})
tokens["forged HS256"] = JsonWebToken(["HS256"]).encode({"alg": "HS256", "kid": "RS256"}, hmac, json.dumps(keys[0]).encode()).decode()
print(json.dumps({"keys": keys, "tokens": tokens}))
