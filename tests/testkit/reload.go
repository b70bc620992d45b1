package testkit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"
)

// How the lines begin with which a process answers to SIGHUP.
const (
	reloaded    = "SIGHUP: read the configuration again"
	notReloaded = "SIGHUP: the configuration is wrong"
)

// Configure replaces the configuration, for the next processes and for those that read it again.
func (g *Gateway) Configure(config string) {
	g.tb.Helper()
	g.config = config
	require.NoError(g.tb, os.WriteFile(filepath.Join(g.Dir, configFile), []byte(config), 0o600))
}

// Reload makes the process read its configuration again, and returns the line that says what came of it.
func (p *Process) Reload() map[string]any {
	p.tb.Helper()
	before := len(p.reloads())
	p.Signal(syscall.SIGHUP)
	var lines []map[string]any
	Until(p.tb, "the configuration is read again", func() bool {
		lines = p.reloads()
		return len(lines) > before
	})
	return lines[before]
}

// reloads returns the lines about the end of each reload.
func (p *Process) reloads() []map[string]any {
	var found []map[string]any
	for _, text := range p.Log.Lines() {
		var line map[string]any
		if !strings.Contains(text, "SIGHUP") || json.Unmarshal([]byte(text), &line) != nil {
			continue
		}
		message, _ := line["msg"].(string)
		if strings.HasPrefix(message, reloaded) || strings.HasPrefix(message, notReloaded) {
			found = append(found, line)
		}
	}
	return found
}
