package turn

const benchmarkServer = "PARLEY_TURN_BENCHMARK"

func serveBenchmark() {}
