package configs

import (
	"slices"
	"strings"
)

// Files returns the files that hold secrets and certificates of the endpoint. They may change while a process runs.
func (e *Endpoint) Files() []string {
	var files []string
	for _, header := range e.Headers {
		files = append(files, header.files()...)
	}
	files = append(files, e.Auth.Token.files()...)
	files = append(files, e.Auth.Password.files()...)
	return append(files, e.TLS.files()...)
}

// Files returns the files that hold the URL and the certificates; see Endpoint.Files.
func (r *Redis) Files() []string { return append(r.URL.files(), r.TLS.files()...) }

// Files returns the files of the listener; see Endpoint.Files.
func (t *ServerTLS) Files() []string { return named(t.CertFile, t.KeyFile, t.ClientCAFile) }

func (t *TLS) files() []string { return named(t.CAFile, t.CertFile, t.KeyFile) }

// named returns the paths that are not empty.
func named(paths ...string) []string {
	return slices.DeleteFunc(paths, func(path string) bool { return path == "" })
}

// files returns the file that the secret refers to, if it does.
func (s Secret) files() []string {
	reference, isFile := strings.CutPrefix(s.reference, filePrefix)
	path, err := s.env.expand(reference)
	if !isFile || err != nil { // Resolve returns the error
		return nil
	}
	return []string{path}
}
