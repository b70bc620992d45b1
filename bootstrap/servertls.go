package bootstrap

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/openhqm/openhqm/configs"
)

// serverTLS returns what a listener encrypts with, or nil. The files are read again when they change. New connections
// then use what they hold, and old ones go on.
func serverTLS(key string, section configs.ServerTLS, rotations *rotations) (*tls.Config, error) {
	if !section.On() {
		return nil, nil //nolint:nilnil // as documented
	}
	var current atomic.Pointer[tls.Config]
	read := func() error {
		config, err := readServerTLS(section)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		current.Store(config)
		return nil
	}
	rotations.add(key, section.Files(), read)
	if err := read(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.Load(), nil },
	}, nil
}

func readServerTLS(section configs.ServerTLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(section.CertFile, section.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cert_file and key_file: %w", err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
	}
	if section.ClientCAFile == "" {
		return config, nil
	}
	if config.ClientCAs, err = readAuthorities(section.ClientCAFile); err != nil {
		return nil, fmt.Errorf("client_ca_file: %w", err)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

func readAuthorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	return pool, nil
}
