package main

// What a machine usually has and an empty container image does not. Both are used only where the machine's own are
// missing.
import (
	_ "time/tzdata" // time zones

	_ "golang.org/x/crypto/x509roots/fallback" // the certificate authorities that browsers trust
)
