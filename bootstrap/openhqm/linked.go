package main

// What a machine usually has and a container image made from nothing has not. Either serves only where the machine's
// own is missing.
import (
	_ "time/tzdata" // time zones

	_ "golang.org/x/crypto/x509roots/fallback" // the certificate authorities that browsers trust
)
