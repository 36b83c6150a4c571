package portal

import (
	"net/http"
	"net/http/pprof"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// live says that the process answers.
func live(w http.ResponseWriter, _ *http.Request) { bare(w, nil) }

// ready says whether new clients should be sent here, and to the public not why not (hardening HW8).
func (p *Portal) ready(w http.ResponseWriter, _ *http.Request) { bare(w, p.parts.Ready()) }

func bare(w http.ResponseWriter, err error) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if err != nil {
		h.Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte("unavailable\n"))
		return
	}
	w.Write([]byte("ok\n"))
}

// Details is what the administrator is told of the server's health.
type Details struct {
	Ready  bool           `json:"ready"`
	Reason string         `json:"reason,omitempty"` // why it is not ready
	Parts  map[string]any `json:"parts"`
}

// Admin returns the route table of the administrator's listener: metrics, health in detail, profiles. It is not for the
// public.
func Admin(metrics prometheus.Gatherer, details func() Details) http.Handler {
	r := chi.NewRouter()
	r.Use(onlyOwnName)
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	r.Get("/health/live", live)
	r.Get("/health/ready", func(w http.ResponseWriter, _ *http.Request) {
		d := details()
		if !d.Ready {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		writeJSON(w, d)
	})
	r.HandleFunc("/debug/pprof/*", pprof.Index)
	r.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	r.HandleFunc("/debug/pprof/profile", pprof.Profile)
	r.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	r.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return r
}

// onlyOwnName keeps pages of other origins out: they cannot set a header, and a name that is pointed here is no address.
func onlyOwnName(next http.Handler) http.Handler {
	p := &Portal{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site := r.Header.Get("Sec-Fetch-Site"); !p.ownHost(r) || site == "cross-site" {
			http.Error(w, "misdirected request", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
