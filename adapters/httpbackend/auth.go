package httpbackend

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// AuthKind is how we authenticate to an endpoint.
type AuthKind string

// The kinds of authentication. The empty kind is AuthNone.
const (
	AuthNone   AuthKind = "none"
	AuthBearer AuthKind = "bearer"  // Authorization: Bearer TOKEN (RFC 6750 section 2.1)
	AuthAPIKey AuthKind = "api_key" // the token in X-API-Key, or in the field Header
	AuthBasic  AuthKind = "basic"   // Authorization: Basic, with Username and Password (RFC 7617)
	AuthCustom AuthKind = "custom"  // the token, unchanged, in the field Header
)

// Auth holds resolved secrets. fmt, slog and JSON print only its kind.
type Auth struct {
	Kind     AuthKind
	Token    string
	Username string
	Password string
	Header   string
}

// Format prints the kind, whatever the verb.
func (a Auth) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, string(a.kind())) }

// MarshalText returns the kind.
func (a Auth) MarshalText() ([]byte, error) { return []byte(a.kind()), nil }

func (a Auth) kind() AuthKind {
	if a.Kind == "" {
		return AuthNone
	}
	return a.Kind
}

// field returns the header field to send. Without a name there is none.
func (a Auth) field() (name, value string, err error) {
	if needsToken := a.Kind == AuthBearer || a.Kind == AuthAPIKey || a.Kind == AuthCustom; needsToken && a.Token == "" {
		return "", "", errors.New("the token is empty")
	}
	switch a.kind() {
	case AuthNone:
		return "", "", nil
	case AuthBearer:
		return "Authorization", "Bearer " + a.Token, nil
	case AuthAPIKey:
		if a.Header == "" {
			return "X-Api-Key", a.Token, nil
		}
		return a.Header, a.Token, nil
	case AuthBasic:
		return a.basic()
	case AuthCustom:
		if a.Header == "" {
			return "", "", errors.New("type custom needs a header")
		}
		return a.Header, a.Token, nil
	default:
		return "", "", fmt.Errorf("unknown type %q", string(a.Kind))
	}
}

func (a Auth) basic() (name, value string, err error) {
	switch {
	case a.Username == "" && a.Password == "":
		return "", "", errors.New("username and password are empty")
	case strings.Contains(a.Username, ":"):
		return "", "", errors.New("a username must not contain a colon (RFC 7617 section 2)")
	}
	pair := base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password))
	return "Authorization", "Basic " + pair, nil
}
