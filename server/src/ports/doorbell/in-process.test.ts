import { testDoorbell } from './doorbell.contract.ts'
import type { Doorbell } from './doorbell.ts'
import { inProcessDoorbell } from './in-process.ts'

testDoorbell('in one process', () => {
  let shared: Doorbell | undefined
  let handedOut = 0
  return Promise.resolve({
    // Ringer and listener of a test are one; each test has a new one.
    another() {
      if (handedOut % 2 === 0) shared = inProcessDoorbell()
      handedOut += 1
      return Promise.resolve(shared!)
    },
    stop: () => Promise.resolve(),
  })
})
