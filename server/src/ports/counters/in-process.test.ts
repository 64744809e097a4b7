import { testCounters } from './counters.contract.ts'
import { inProcessCounters } from './in-process.ts'

testCounters('one process', () =>
  Promise.resolve({
    another: () => Promise.resolve(inProcessCounters),
    stop: () => Promise.resolve(),
  }),
)
