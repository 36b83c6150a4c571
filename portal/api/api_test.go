package api

import (
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
)

func operationAt(path string) huma.Operation {
	return huma.Operation{OperationID: "test" + path[1:], Method: http.MethodGet, Path: path, Tags: []string{"test"}}
}

func escape(s string) string { return url.QueryEscape(s) }
