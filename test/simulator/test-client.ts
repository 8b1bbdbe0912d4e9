import type { Test } from 'tap'
import { isObject } from './delta.ts'
import { SEED } from './seed.ts'
import { type SimulatorOptions, startSimulator } from './simulator.ts'

export const RECORD_PATH = `/objects/${SEED.schemaKey}/records/${SEED.recordId}`
const IN_SEED_LOCATION = `?locationId=${SEED.locationId}`

interface Request {
  method?: string
  token?: string
  headers?: Record<string, string>
  body?: string
}

/** Starts a simulator for one test, with tokens of the seed location and functions for the usual calls. */
export async function openSimulator(t: Test, options: SimulatorOptions = {}) {
  const simulator = await startSimulator(options)
  t.teardown(() => simulator.close())
  const { accessToken, refreshToken } = simulator.grantTokens()

  async function call(path: string, { token = accessToken, headers, ...request }: Request = {}) {
    const common = { authorization: `Bearer ${token}`, version: '2021-07-28', 'content-type': 'application/json' }
    const response = await fetch(simulator.origin + path, { ...request, headers: { ...common, ...headers } })
    return { status: response.status, headers: response.headers, body: parse(await response.text()) }
  }
  const put = (body: unknown, query = IN_SEED_LOCATION, path = RECORD_PATH) =>
    call(path + query, { method: 'PUT', body: JSON.stringify(body) })
  const get = (path = RECORD_PATH, query = IN_SEED_LOCATION) => call(path + query)

  const client = { client_id: simulator.clientId, client_secret: simulator.clientSecret }
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const token = (form: Record<string, string>) =>
    call('/oauth/token', { method: 'POST', headers, body: new URLSearchParams({ ...client, ...form }).toString() })
  const refresh = (text = refreshToken) => token({ grant_type: 'refresh_token', refresh_token: text })
  const properties = () => simulator.record(SEED.schemaKey, SEED.recordId)?.properties ?? {}

  return { simulator, accessToken, refreshToken, call, put, get, token, refresh, properties }
}

/** Returns the text itself if it is not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** A string member of a body, or an empty string. */
export function textIn(body: unknown, name: string): string {
  const value = isObject(body) ? body[name] : undefined
  return typeof value === 'string' ? value : ''
}
