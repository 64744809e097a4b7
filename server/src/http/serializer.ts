import type { FastifySerializerCompiler } from 'fastify/types/schema.js'
import { serializerCompiler as zodSerializerCompiler } from 'fastify-type-provider-zod'
import type { ZodType } from 'zod'

/**
 * A reply that is not what its schema says is not sent. Errors are sent as they are: they are made in one place, and a
 * check could only turn a helpful one into a 500.
 */
export const serializerCompiler: FastifySerializerCompiler<ZodType> = (route) =>
  Number(route.httpStatus) >= 400 ? (data) => JSON.stringify(data) : zodSerializerCompiler(route)
