import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  context,
  type Attributes,
  type Tracer,
} from '@opentelemetry/api'
import type { RunningTask, TaskKind } from '../tasks/task.ts'
import { endOfRun } from '../tasks/watch-runs.ts'
import type { Tracing } from './tracing.ts'

/** A span for each run of a task, which knows of the step that it does. */
export function runTracing(tracer: Tracer): Pick<Tracing, 'watchRun' | 'watchStep'> {
  return {
    async watchRun(kind, task, run) {
      const options = { kind: SpanKind.CONSUMER, attributes: attributesOf(kind, task) }
      const span = tracer.startSpan(`task ${kind}`, options, ROOT_CONTEXT)
      try {
        await context.with(trace.setSpan(ROOT_CONTEXT, span), run)
        span.setAttribute('videoflix.task.outcome', 'done')
      } catch (error) {
        const { outcome, reason } = endOfRun(error, task.signal)
        span.setAttributes({ 'videoflix.task.outcome': outcome, 'error.type': reason })
        if (outcome === 'failed') span.setStatus({ code: SpanStatusCode.ERROR, message: reason })
        throw error
      } finally {
        span.end()
      }
    },

    async watchStep({ source, step }, work) {
      trace.getActiveSpan()?.setAttributes({
        'videoflix.video.id': source.video_id,
        'videoflix.step': step.name,
      })
      return await work()
    },
  }
}

/** Of what it is about the numbers of videos and sources; not whose mail it is. */
function attributesOf(kind: TaskKind, { id, attempt, payload }: RunningTask<TaskKind>): Attributes {
  return {
    'videoflix.task.id': id,
    'videoflix.task.kind': kind,
    'videoflix.task.attempt': attempt,
    ...('sourceId' in payload && { 'videoflix.source.id': payload.sourceId }),
    ...('videoId' in payload && { 'videoflix.video.id': payload.videoId }),
  }
}
