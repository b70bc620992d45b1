package configs

// Embedded is where and how the embedded queue and store keep their files.
type Embedded struct {
	Dir     string   `koanf:"dir"`      // made if it is not there; relative to the working directory
	MinFree ByteSize `koanf:"min_free"` // space left on the disk below which nothing is accepted and no call begins
	Repair  bool     `koanf:"repair"`   // go on without what is damaged or missing
}

func (e *Embedded) validate(v *validator) {
	if e.Dir == "" {
		v.bad("embedded.dir", "must be the path of a directory")
	}
	between(v, "embedded.min_free", e.MinFree, 0, maxBytes)
}
