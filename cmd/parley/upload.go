package main

import (
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"parley/portal"
	"parley/xmpp/upload"
	"parley/xmpp/wire"
)

// serveUploads has people upload files, where there is an HTTP listener. It comes before the first client.
func (s *server) serveUploads(secret []byte) (err error) {
	base := s.cfg.Upload.URL
	if base == "" {
		base = strings.Replace(channelBase(s.cfg, s.listeners), "ws", "http", 1) // the HTTP listeners have the bridge channels too
	}
	if !s.cfg.Upload.Enabled || channelBase(s.cfg, s.listeners) == "" {
		return nil
	}
	at := "upload." + s.cfg.Domain
	s.uploads, err = upload.New(s.cfg.Upload, upload.Parts{
		Domain: wire.Addr(s.cfg.Domain), Address: wire.Addr(at), Base: base, Folder: s.data.file("uploads"), Secret: secret,
		Store: s.store, Do: s.host.Do, Recorder: s.recorder,
	})
	if err != nil {
		return err
	}
	s.router.Serve(at, s.uploads)
	s.host.AnnounceItem(wire.Addr(at))
	s.forgetting(func(wire.Addr, error) { s.uploads.Forget() })
	counter := func(name, help string, read func() int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(read()) })
	}
	s.metrics.MustRegister(
		counter("parley_uploads_total", "Files that were uploaded.", func() int64 { n, _, _ := s.uploads.Stats(); return n }),
		counter("parley_upload_bytes_total", "Bytes of files that were uploaded.", func() int64 { _, n, _ := s.uploads.Stats(); return n }),
		counter("parley_upload_fetches_total", "Requests for files that were answered with one.", func() int64 { _, _, n := s.uploads.Stats(); return n }),
	)
	s.group.Go(func() { s.uploads.Run(s.stopping) })
	return nil
}

// offerUploads adds the files to the HTTP side.
func (s *server) offerUploads(parts *portal.Parts) {
	if s.uploads == nil {
		return
	}
	parts.Upload, parts.UploadSize = s.uploads, s.cfg.Upload.Size
	if u, err := url.Parse(s.cfg.Upload.URL); err == nil {
		parts.UploadHost = u.Hostname()
	}
}
