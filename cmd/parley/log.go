package main

import (
	"io"
	"log/slog"

	"parley/internal/config"
	"parley/internal/event"
)

// newLogger returns the log, and the level that can be changed while it is written.
func newLogger(w io.Writer, cfg config.Log) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(slog.Level(cfg.Level))
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if l, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && l >= event.LevelCritical {
			a.Value = slog.StringValue("CRITICAL")
		}
		return a
	}}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), level
	}
	return slog.New(slog.NewTextHandler(w, o)), level
}
