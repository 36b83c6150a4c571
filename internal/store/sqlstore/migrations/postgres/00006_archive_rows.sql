-- +goose Up
-- PostgreSQL's tables are in this order anyway.
SELECT 1;
