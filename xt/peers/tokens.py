# Makes keys, and tokens signed with them by PyJWT and by Authlib. Prints one JSON object: the key set, and the tokens by name.
# With arguments, each a JSON object (`algorithms`, a prefix for `kid`, and other `claims`), it prints a line for each.

import json
import sys
import time

import jwt
from authlib.jose import JsonWebKey, JsonWebToken

now = int(time.time())
CLAIMS = {"iss": "https://login.example.org", "aud": "imap", "sub": "fred", "scope": "imap smtp", "iat": now, "exp": now + 600}
ALGORITHMS = {
    "RS256": ("RSA", 2048), "RS512": ("RSA", 2048), "PS256": ("RSA", 2048), "PS384": ("RSA", 3072), "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"), "ES512": ("EC", "P-521"), "EdDSA": ("OKP", "Ed25519"),
}


def made(options):
    keys, tokens = [], {}
    claims = {**CLAIMS, **options.get("claims", {})}
    for name in options.get("algorithms", ALGORITHMS):
        kid = options.get("kid", "") + name
        key = JsonWebKey.generate_key(*ALGORITHMS[name], is_private=True)
        public = json.loads(key.as_json(is_private=False))
        keys.append({**public, "kid": kid, "use": "sig", "alg": name})
        header = {"alg": name, "kid": kid}
        tokens["Authlib " + name] = JsonWebToken([name]).encode({**header, "typ": "at+jwt"}, claims, key).decode()
        pem = key.as_pem(is_private=True).decode()
        tokens["PyJWT " + name] = jwt.encode(claims, pem, algorithm=name, headers={"kid": kid})
        tokens["expired " + name] = jwt.encode({**claims, "exp": now - 600}, pem, algorithm=name, headers={"kid": kid})
    forged = {"iss": CLAIMS["iss"], "aud": "imap", "sub": "root", "exp": now + 600}
    tokens["forged none"] = jwt.encode(forged, None, algorithm="none", headers={"kid": keys[0]["kid"]})
    header = {"alg": "HS256", "kid": keys[0]["kid"]}
    tokens["forged HS256"] = JsonWebToken(["HS256"]).encode(header, forged, json.dumps(keys[0]).encode()).decode()
    return {"keys": keys, "tokens": tokens}


for options in [json.loads(text) for text in sys.argv[1:]] or [{}]:
    print(json.dumps(made(options)))
