package configs

import (
	"path/filepath"
	"strings"
)

// Embedded is where and how the embedded queue and store keep their files.
type Embedded struct {
	Dir       string   `koanf:"dir"`        // made if it is not there; relative to the working directory
	BackupDir string   `koanf:"backup_dir"` // where backups of the running process go; empty: it makes none
	MinFree   ByteSize `koanf:"min_free"`   // space left on the disk below which nothing is accepted and no call begins
	Repair    bool     `koanf:"repair"`     // go on without what is damaged or missing
}

func (e *Embedded) validate(v *validator) {
	if e.Dir == "" {
		v.bad("embedded.dir", "must be the path of a directory")
	}
	if e.BackupDir != "" && within(e.Dir, e.BackupDir) {
		v.bad("embedded.backup_dir", "must not be in embedded.dir")
	}
	between(v, "embedded.min_free", e.MinFree, 0, maxBytes)
}

// within reports whether a path is a directory or something in it.
func within(dir, path string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if path, err = filepath.Abs(path); err != nil {
		return false
	}
	inside, err := filepath.Rel(dir, path)
	return err == nil && inside != ".." && !strings.HasPrefix(inside, ".."+string(filepath.Separator))
}
