import { EventEmitter } from 'node:events'
import type { Doorbell } from './doorbell.ts'

/** Reaches the listeners of this process only; workers elsewhere find the task at their next sweep. */
export function inProcessDoorbell(): Doorbell {
  const emitter = new EventEmitter()
  return {
    ring: () => void setImmediate(() => emitter.emit('ring')),
    onRing(listener) {
      emitter.on('ring', listener)
      return () => void emitter.off('ring', listener)
    },
    close: () => {
      emitter.removeAllListeners()
      return Promise.resolve()
    },
  }
}
