package bootstrap

import (
	"crypto/tls"
	"fmt"

	"github.com/openhqm/openhqm/configs"
)

// tlsConfig reads the files of a TLS section. Without ca_file the authorities of the system are trusted. Without
// server_name the connection decides which name it expects in the certificate.
func tlsConfig(section configs.TLS) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: section.ServerName}
	if section.CAFile != "" {
		authorities, err := readAuthorities(section.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		config.RootCAs = authorities
	}
	if section.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(section.CertFile, section.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert_file and key_file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
