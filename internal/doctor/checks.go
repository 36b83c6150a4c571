package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"parley/internal/config"
	"parley/internal/store/sqlstore"
	"parley/internal/token"
)

// config reports that the configuration can be used.
func (e *examination) config() bool {
	err := e.ConfigErr
	if err == nil {
		err = e.Config.Check()
	}
	if err == nil {
		var tokens *token.Checker
		tokens, err = token.New(e.Config.Token, token.Options{Development: e.Config.Development()})
		if tokens != nil {
			tokens.Close()
		}
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			e.add(Fault, "config", strings.TrimSpace(line))
		}
		return false
	}
	e.add(OK, "config", "the configuration can be used")
	return true
}

// data looks at the data directory.
func (e *examination) data() {
	info, err := os.Stat(e.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.add(OK, "data", e.Data+" does not exist yet; the server will make it")
		return
	case err != nil:
		e.add(Fault, "data", err.Error())
		return
	case !info.IsDir():
		e.add(Fault, "data", e.Data+" is not a folder; choose another one with --data")
		return
	case info.Mode().Perm()&0o077 != 0:
		e.add(Fault, "data", fmt.Sprintf("others may enter %s, which holds keys (mode %#o): chmod 700 %s", e.Data, info.Mode().Perm(), e.Data))
	}
	f, err := os.CreateTemp(e.Data, ".doctor-")
	if err != nil {
		e.add(Fault, "data", fmt.Sprintf("%s cannot be written: %v; give it to the user that runs the server: chown -R USER %s", e.Data, err, e.Data))
		return
	}
	f.Close()
	os.Remove(f.Name())
	for _, name := range []string{"secrets.json", "key.pem", "acme.pem", "bridge-setup.json", "bridge-cert.pem"} {
		if info, err := os.Stat(filepath.Join(e.Data, name)); err == nil && info.Mode().Perm()&0o077 != 0 {
			e.add(Fault, "data", fmt.Sprintf("others may read %s: chmod 600 %s", filepath.Join(e.Data, name), filepath.Join(e.Data, name)))
		}
	}
}

const (
	leastFree  = 256 << 20 // bytes
	leastFiles = 4096      // descriptors
)

// disk looks for room where the state is.
func (e *examination) disk() {
	path := e.Data
	if file, ok := sqliteFile(e.Store); ok {
		path = filepath.Dir(file)
	}
	for path != "." && path != "/" {
		if _, err := os.Stat(path); err == nil {
			break
		}
		path = filepath.Dir(path)
	}
	free, inodes, err := e.Free(path)
	switch {
	case err != nil:
		e.add(Fault, "disk", err.Error())
	case free < leastFree:
		e.add(Fault, "disk", fmt.Sprintf("only %d MB are free at %s: make room, since nothing can be stored when the disk is full", free>>20, path))
	case inodes < 1000:
		e.add(Fault, "disk", fmt.Sprintf("only %d files more can be made at %s: delete some", inodes, path))
	default:
		e.add(OK, "disk", fmt.Sprintf("%d MB free at %s", free>>20, path))
	}
}

// clock looks for a clock that is wrong: tokens, credentials and certificates depend on it.
func (e *examination) clock() {
	entries, _ := os.ReadDir(e.Data)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.ModTime().After(e.Now.Add(5*time.Minute)) {
			continue
		}
		e.add(Fault, "clock", fmt.Sprintf("the clock says %s, but %s was written at %s: set the clock (timedatectl set-ntp true)",
			e.Now.UTC().Format(time.DateTime), entry.Name(), info.ModTime().UTC().Format(time.DateTime)))
		return
	}
	if e.Now.Year() < 2026 {
		e.add(Fault, "clock", fmt.Sprintf("the clock says %s: set it (timedatectl set-ntp true)", e.Now.UTC().Format(time.DateTime)))
		return
	}
	if !e.Synced {
		e.add(Note, "clock", "nothing on this machine is known to keep the clock right: timedatectl set-ntp true; in a container, see to the host")
		return
	}
	e.add(OK, "clock", e.Now.UTC().Format(time.DateTime)+" UTC")
}

// files looks at the limit of file descriptors: each client is one, each relayed address two.
func (e *examination) files() {
	limit := e.Files
	if e.PID != 0 {
		if n, ok := filesOf(e.PID); ok {
			limit = n
		}
	}
	if limit < leastFiles {
		e.add(Fault, "files", fmt.Sprintf("the limit of file descriptors is %d, enough for about %d people: LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536", limit, limit/3))
		return
	}
	e.add(OK, "files", fmt.Sprintf("limit of file descriptors: %d", limit))
}

// filesOf reads the limit of a process.
func filesOf(pid int) (n uint64, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "Max open files"); found {
			_, err := fmt.Sscan(rest, &n)
			return n, err == nil
		}
	}
	return 0, false
}

// ports looks whether the listeners can be bound, or are.
func (e *examination) ports() {
	for _, l := range e.Config.Listen {
		if l.Port == 0 {
			continue
		}
		holder := e.PID
		if ofBridge(l) {
			holder = e.Bridge
		}
		for _, network := range e.networks(l) {
			who := Holder(network, l.Host, l.Port)
			held := strings.Contains(who, fmt.Sprintf("(process %d)", holder))
			switch {
			case ofBridge(l) && e.Bridge != 0 && held && e.PID == 0:
				e.add(Note, "ports", fmt.Sprintf("%s: %s port %d is held by %s, the bridge of a server that was killed; the next server takes it over", l, network, l.Port, who))
				continue
			case e.PID != 0 && ofBridge(l) && e.Bridge == 0:
				continue // that it does not run is said by health
			case e.PID != 0 && !held:
				e.add(Fault, "ports", fmt.Sprintf("%s: the server that runs does not hold %s port %d%s; it was started with other listeners: restart it", l, network, l.Port, heldBy(who)))
				continue
			case e.PID != 0:
				continue
			}
			if err := tryBind(network, l.Address()); err != nil {
				e.add(Fault, "ports", fmt.Sprintf("%s: %s; stop it, or change listen", l, portTrouble(network, l.Port, who, err)))
			}
		}
	}
}

// ofBridge reports that a listener is that of the bridge process.
func ofBridge(l config.Listener) bool {
	return l.Scheme == "media" || strings.HasPrefix(l.Scheme, "turn")
}

// networks are those that a listener binds its port in.
func (e *examination) networks(l config.Listener) []string {
	switch {
	case l.Scheme == "turn", l.Scheme == "media" && e.Config.Media.TCP:
		return []string{"tcp", "udp"}
	case l.Scheme == "media":
		return []string{"udp"}
	}
	return []string{"tcp"}
}

// enoughBuffer is what holds the media of some hundred people while the bridge waits for a processor, in bytes.
const enoughBuffer = 4 << 20

// buffers looks at how much media the system keeps for a process that is busy.
func (e *examination) buffers() {
	if !slices.ContainsFunc(e.Config.Listen, ofBridge) || e.Buffers == 0 {
		return
	}
	if e.Buffers < enoughBuffer {
		e.add(Note, "buffers", fmt.Sprintf("a socket may have buffers of %d kB only, so that media is lost when the machine is busy: sysctl -w net.core.rmem_max=8388608 net.core.wmem_max=8388608", e.Buffers>>10))
		return
	}
	e.add(OK, "buffers", fmt.Sprintf("buffers of sockets: up to %d kB", e.Buffers>>10))
}

func heldBy(who string) string {
	if who == "" {
		return ""
	}
	return ", " + who + " does"
}

func portTrouble(network string, port uint16, who string, err error) string {
	if errors.Is(err, syscall.EADDRINUSE) && who != "" {
		return fmt.Sprintf("%s port %d is taken by %s", network, port, who)
	}
	if errors.Is(err, syscall.EACCES) {
		return fmt.Sprintf("%s port %d is below 1024 and needs the right CAP_NET_BIND_SERVICE", network, port)
	}
	return err.Error()
}

func tryBind(network, address string) error {
	if network == "udp" {
		c, err := net.ListenPacket(network, address)
		if err == nil {
			c.Close()
		}
		return err
	}
	l, err := net.Listen(network, address)
	if err == nil {
		l.Close()
	}
	return err
}

// addresses looks at what clients are told to send media to.
func (e *examination) addresses() {
	if e.Config.Development() {
		e.add(Note, "address", "only this machine can reach the server")
		return
	}
	has := func(scheme string) bool {
		return slices.ContainsFunc(e.Config.Listen, func(l config.Listener) bool { return strings.HasPrefix(l.Scheme, scheme) })
	}
	if !has("media") {
		e.add(Note, "address", "there is no media listener: calls of three and more will not work")
	}
	if !has("turn") {
		e.add(Note, "address", "there is no turn listener: people behind strict firewalls will not reach one another")
	}
	if !has("media") && !has("turn") {
		return
	}
	if len(e.Advertised) == 0 {
		e.add(Fault, "address", "the machine has no address to tell clients: write advertise = [\"ADDRESS\"]")
		return
	}
	for _, a := range e.Advertised {
		switch {
		case a.IsLoopback():
			e.add(Fault, "address", fmt.Sprintf("clients are told to send media to %s, which is their own machine: write advertise = [\"ADDRESS\"] or change the host of the media and turn listeners", a))
		case a.IsPrivate() && len(e.Config.Advertise) == 0:
			e.add(Fault, "address", fmt.Sprintf("clients are told to send media to %s, which cannot be reached from the Internet: write advertise = [\"OUTER ADDRESS\"], or advertise = [%q] if all clients are in the same network", a, a))
		default:
			e.add(OK, "address", fmt.Sprintf("clients are told %s", a))
		}
	}
}

// domain looks whether the domain's name leads here, and that at which files are fetched.
func (e *examination) domain(ctx context.Context) {
	if e.Config.Domain == "localhost" || e.Config.Development() {
		return
	}
	e.leadsHere(ctx, e.Config.Domain)
	if files := e.Config.FilesHost(); files != "" {
		e.leadsHere(ctx, files)
	}
}

func (e *examination) leadsHere(ctx context.Context, name string) {
	found, err := e.Resolve(ctx, name)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			e.add(Fault, "domain", fmt.Sprintf("%s has no address in the DNS: add an A or AAAA record that points here", name))
		} else {
			e.add(Note, "domain", fmt.Sprintf("%s could not be looked up: %v", name, err))
		}
		return
	}
	here := append(slices.Clone(e.Advertised), e.Addresses...)
	var elsewhere []string
	for _, a := range found {
		if a = a.Unmap(); slices.Contains(here, a) {
			e.add(OK, "domain", fmt.Sprintf("%s is %s", name, a))
			return
		}
		elsewhere = append(elsewhere, a.String())
	}
	e.add(Fault, "domain", fmt.Sprintf("%s points to %s, which is not this machine: correct the A or AAAA record, or write the outer address into advertise", name, strings.Join(elsewhere, ", ")))
}

func sqliteFile(url string) (string, bool) {
	rest, ok := strings.CutPrefix(url, "sqlite:")
	return strings.TrimPrefix(rest, "//"), ok
}

// store opens the store as the server would, unless a server has it.
func (e *examination) store(ctx context.Context) {
	file, isFile := sqliteFile(e.Store)
	if e.PID != 0 && isFile {
		return // the server answers for it
	}
	if isFile {
		if _, err := os.Stat(filepath.Dir(file)); err != nil && filepath.Dir(file) != e.Data {
			e.add(Fault, "store", fmt.Sprintf("%v: mkdir -p %s", err, filepath.Dir(file)))
			return
		}
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			e.add(OK, "store", file+" does not exist yet; the server will make it")
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	db, err := sqlstore.Open(ctx, e.Store, sqlstore.Options{Patience: 2 * time.Second})
	if err == nil {
		err = errors.Join(db.Ping(ctx), db.Close())
	}
	if err != nil {
		e.add(Fault, "store", fmt.Sprintf("%v; the server cannot start without its store", err))
		return
	}
	e.add(OK, "store", "can be written")
}

// health asks the server that runs.
func (e *examination) health(ctx context.Context) {
	if e.PID == 0 {
		e.add(Note, "server", "it does not run")
		return
	}
	if e.Bridge == 0 && slices.ContainsFunc(e.Config.Listen, ofBridge) {
		e.add(Fault, "bridge", "it does not run, so that calls of three and more and the relay do not work: the server's log says why; if it was started without these listeners, restart it")
	}
	if err := e.Health(ctx); err != nil {
		e.add(Fault, "server", fmt.Sprintf("process %d runs, but: %v", e.PID, err))
		return
	}
	e.add(OK, "server", fmt.Sprintf("process %d runs and takes clients", e.PID))
}
