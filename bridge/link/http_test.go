package link

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

func TestRequestsAreHandedOn(t *testing.T) {
	dir := t.TempDir()
	front := httptest.NewServer(Proxy(dir, nil))
	defer front.Close()
	get := func(forged string) (int, string) {
		t.Helper()
		req, _ := http.NewRequest("GET", front.URL+"/colibri-ws/b/c/e?pwd=x", nil)
		req.Header.Set(forwarded, forged)
		res, err := front.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(text)
	}
	if status, _ := get(""); status != http.StatusBadGateway {
		t.Errorf("without a bridge: %d", status)
	}

	h, err := Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		err := h.ServeHTTP(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" {
				io.WriteString(w, r.RemoteAddr+" "+r.URL.String())
				return
			}
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			kind, text, err := c.Read(r.Context())
			if err == nil {
				c.Write(r.Context(), kind, append(text, '!'))
			}
			c.Close(websocket.StatusCode(1001), "over")
		}), nil)
		if err != nil {
			t.Error(err)
		}
	})
	defer func() { cancel(); group.Wait() }()
	if status, text := get("192.0.2.9"); status != 200 || text != "127.0.0.1:0 /colibri-ws/b/c/e?pwd=x" {
		t.Errorf("%d %q", status, text)
	}
	c, _, err := websocket.Dial(t.Context(), front.URL+"/colibri-ws/b/c/e", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.Write(t.Context(), websocket.MessageText, []byte("hello"))
	if _, text, err := c.Read(t.Context()); err != nil || string(text) != "hello!" {
		t.Errorf("%q %v", text, err)
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 1001 {
		t.Errorf("closed with %v", err)
	}
}
