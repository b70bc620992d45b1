package configs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
)

// Secret refers to a value that must not be seen. However it is printed, logged or encoded, it shows "***", or nothing
// when it is empty; only Resolve returns the value.
type Secret struct {
	reference string      // as it was written
	env       environment // where ${NAME} is looked up
}

const (
	mask          = "***"
	filePrefix    = "file:"
	maxSecretFile = 64 << 10 // bytes
)

// IsSet reports whether anything was written.
func (s Secret) IsSet() bool { return s.reference != "" }

// Resolve returns the value. ${NAME} and ${NAME:-default} are replaced from the environment (and .env) that Load was
// given. A reference that begins with "file:" stands for the content of that file, up to 64 KiB, without one final
// newline; the file is read again at each call. Anything else stands for itself. The error names the variable or the
// file, never the value.
func (s Secret) Resolve() (string, error) {
	path, isFile := strings.CutPrefix(s.reference, filePrefix)
	value, err := s.env.expand(path)
	if err != nil || !isFile {
		return value, err
	}
	content, err := readSecretFile(value)
	if err != nil {
		return "", err
	}
	if line, ended := strings.CutSuffix(content, "\n"); ended {
		content = strings.TrimSuffix(line, "\r")
	}
	return content, nil
}

// readSecretFile reads regular files only: a pipe could block for ever.
func readSecretFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "read", Path: path, Err: errNotRegular}
	}
	content, err := readFile(path, maxSecretFile)
	return string(content), err
}

var errNotRegular = errors.New("not a regular file")

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %s", ByteSize(limit))}
	}
	return content, nil
}

// String hides the secret.
func (s Secret) String() string {
	if s.IsSet() {
		return mask
	}
	return ""
}

// GoString hides the secret.
func (s Secret) GoString() string { return fmt.Sprintf("Secret(%q)", s.String()) }

// Format hides the secret under every verb.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'v' && f.Flag('#') {
		text = s.GoString()
	}
	// A state that cannot be written to has no way to report it.
	_, _ = io.WriteString(f, text)
}

// MarshalText hides the secret from JSON, YAML and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
