import type { ServerResponse } from 'node:http'
import type { Controls } from './controls.ts'
import type { ReceivedRequest } from './journal.ts'

export const CONTROL_PATH = '/_simulator/'

/** The controls that can be called over HTTP. Their arguments are not validated: only tests call them. */
const CONTROL_NAMES: ReadonlySet<string> = new Set<keyof Controls>([
  'received',
  'clearReceived',
  'stored',
  'failNext',
  'clearFaults',
  'connect',
  'connectCompany',
  'grantTokens',
  'privateToken',
  'refreshChain',
  'expireToken',
  'expireTokens',
  'revokeGrants',
  'uninstall',
  'pause',
  'limitScopes',
  'omitFromInstalls',
  'setBurst',
  'setDaily',
  'record',
  'putRecord',
  'object',
  'putObject',
  'setWriteQuirks',
  'tokenCalls',
  'countInWindow',
  'installWebhook',
  'uninstallWebhook',
  'companyUninstallWebhook'
])

const isControl = (controls: Controls, name: string): name is keyof Controls =>
  CONTROL_NAMES.has(name) && name in controls

/** `POST /_simulator/<control>` takes a JSON array of arguments and answers with the result as JSON, or `null`. */
export function handleControl(controls: Controls, request: ReceivedRequest, response: ServerResponse): void {
  const [status, body] = callControl(controls, request)
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function callControl(
  controls: Controls,
  { method, path, query, body }: ReceivedRequest
): [status: number, body: unknown] {
  const name = path.slice(CONTROL_PATH.length)
  if (method === 'GET' && name === 'received') return [200, controls.received(query)]
  if (method !== 'POST' || !isControl(controls, name)) return [404, { message: 'No such control' }]
  try {
    const args: unknown = JSON.parse(body === '' ? '[]' : body)
    if (!Array.isArray(args)) throw new TypeError('The arguments must be a JSON array')
    return [200, Reflect.apply(controls[name], undefined, args) ?? null]
  } catch (error) {
    return [400, { message: String(error) }]
  }
}
