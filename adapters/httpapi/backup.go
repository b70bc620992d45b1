package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

const backupPath = "/api/v1/backup"

var errNoBackups = errors.New("this process makes no backups: with the embedded queue, set embedded.backup_dir; " +
	"brokers and Redis have backups of their own")

// backup makes a backup and answers with its path on this machine: POST /api/v1/backup.
func (a *api) backup(c *gin.Context) error {
	if a.opts.Backups == nil {
		return errNoBackups
	}
	// A copy to another file system takes as long as it takes.
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}) // fails only where there is no connection
	path, err := a.opts.Backups.Backup(c.Request.Context())
	if err != nil {
		return err
	}
	document := newDocument(smallDocument)
	document.Text("path", path)
	a.respond(c, http.StatusCreated, jsonType, document.Close())
	return nil
}
