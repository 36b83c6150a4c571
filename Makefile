.PHONY: run test lint fuzz bench check docs jitsi jitsi-bridge dino gajim

run: ## start everything with embedded defaults
	go run ./cmd/parley serve

test: ## install what the tests need, run all of them, count them
	go run ./internal/ci

check: ## what needs nothing installed
	go vet ./... && go test ./...

lint: ## format, vet, staticcheck, tidy; govulncheck where a database is given
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...
	go mod tidy -diff
	if [ -n "$$GOVULNDB" ]; then go run golang.org/x/vuln/cmd/govulncheck@latest -db "$$GOVULNDB" ./...; else echo "govulncheck: not run, GOVULNDB is not set"; fi

fuzz: ## every fuzz target, FUZZTIME each (default 10m), and a million documents against expat
	PARLEY_PEERS=python3 PARLEY_EXPAT_DOCS=1000000 go test -timeout 2h -run 'TestExpat' -v ./xmpp/wire
	go run ./internal/ci/fuzz $${FUZZTIME:-10m}

bench:
	go test -run '^$$' -bench . -benchmem ./...

jitsi: ## the real Jitsi client: LJM_JS=FILE is lib-jitsi-meet.min.js of a Jitsi Meet installation
	LJM_JS=$(LJM_JS) PARLEY_PEERS=all go test -count=1 -v -timeout 15m ./internal/blackbox/jitsi

dino: ## Debian's Dino calls a room, which make test has too; what that installs has to be there; DINO_SHOT=FILE keeps a picture
	PARLEY_PEERS=all go test -count=1 -v -timeout 10m -run TestDinoCallsARoom ./internal/blackbox/calls

gajim: ## Debian's Gajim with its windows, which make test has too: gajim, xvfb, dbus-daemon, imagemagick have to be there
	PARLEY_PEERS=all go test -count=1 -v -timeout 10m -run TestGajim ./internal/blackbox/clients

RUNS ?= 1
jitsi-bridge: ## meetings of the real Jitsi client on the bridge, RUNS times with each codec; LJM_JS as above
	LJM_JS=$(LJM_JS) RUNS=$(RUNS) PARLEY_PEERS=all go test -count=1 -v -timeout 10h -run TestJitsiMeetings ./internal/blackbox/jitsi
