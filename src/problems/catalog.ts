/** Who has to act on a problem. */
export type Source = 'caller' | 'location' | 'gateway' | 'upstream'

export interface CatalogEntry {
  status: number
  /** Whether the unchanged request may be sent again, now or after `Retry-After`. */
  retryable: boolean
  title: string
  /** What the reader of the error should do. Shown at `GET /problems/<code>`. */
  advice: string
  source: Source
}

type Row = Omit<CatalogEntry, 'source'>
type CreateRow = (status: number, title: string, advice: string) => Row

const permanent: CreateRow = (status, title, advice) => ({ status, retryable: false, title, advice })
const retryable: CreateRow = (status, title, advice) => ({ status, retryable: true, title, advice })

const WAIT = 'Wait for the number of seconds in Retry-After.'
const MAYBE_STORED = 'applied tells whether the write may have been stored.'

/** The caller has to change its request. */
const callerProblems = {
  'invalid-json': permanent(
    400,
    'The body is not valid JSON',
    'Send one JSON document encoded as UTF-8. Members named __proto__ are rejected.'
  ),
  'invalid-request': permanent(
    400,
    'The request is malformed',
    'Fix every error listed in errors: pointer points into the body, parameter names a part of the URL or a header.'
  ),
  unauthenticated: permanent(
    401,
    'Authentication failed',
    'Send Authorization: Bearer with an API key that has not been revoked, or with a JWT that has not expired.'
  ),
  'location-forbidden': permanent(
    403,
    'The caller has no access to this location',
    'Use an API key or a JWT that covers this location. This error does not reveal whether the location exists.'
  ),
  'route-not-found': permanent(404, 'Route not found', 'Check the path against GET /openapi.json.'),
  'object-not-found': permanent(
    404,
    'Object not found',
    'Check the schema key. Keys of custom objects begin with “custom_objects.”, as in custom_objects.ticket.'
  ),
  'record-not-found': permanent(404, 'Record not found', 'Check its id and its location. It may have been deleted.'),
  'method-not-allowed': permanent(405, 'Method not allowed', 'Use one of the methods in the Allow header.'),
  'duplicate-value': permanent(
    409,
    'Another record already has this value in a unique field',
    'Choose another value for the field named in errors, or update the record that has it.'
  ),
  'precondition-failed': permanent(
    412,
    'The record or its object has changed since it was read',
    'Read the record again, decide whether the change still applies, and send it with the new ETag as If-Match.'
  ),
  'body-too-large': permanent(413, 'The body is too large', 'Send fewer or shorter values in one call.'),
  'uri-too-long': permanent(414, 'The URL is too long', 'Send only locationId and dryRun in the query.'),
  'unsupported-media-type': permanent(
    415,
    'The body must be uncompressed JSON',
    'Send Content-Type: application/json or application/merge-patch+json, and no Content-Encoding.'
  ),
  'expectation-failed': permanent(417, 'Unsupported Expect header', 'Send no Expect header, or Expect: 100-continue.'),
  'invalid-properties': permanent(
    422,
    'The values do not fit the object',
    'Fix every error in errors. GET /objects/{schemaKey} describes the fields. If applied is no, nothing was sent.'
  ),
  'upstream-rejected': permanent(
    422,
    'HighLevel rejected the values',
    `Read upstream.message, in HighLevel’s own words, and errors, the fields that it names. ${MAYBE_STORED}`
  ),
  'caller-rate-limited': retryable(429, 'The caller has sent too many calls', WAIT),
  'headers-too-large': permanent(
    431,
    'The headers are too large',
    'Send fewer or shorter headers. Cookies are not needed.'
  )
}

/** Somebody has to act in the location, or its quota has to recover. */
const locationProblems = {
  'location-not-connected': permanent(
    409,
    'The location is not connected',
    'An administrator of the location opens connectUrl once and approves the app.'
  ),
  'location-reconnect-required': permanent(
    409,
    'The location’s connection has ended',
    'An administrator of the location opens connectUrl and approves the app again.'
  ),
  'location-paused': retryable(
    409,
    'HighLevel has paused the location',
    'Reactivate the location in HighLevel. Its connection then works again without a new approval.'
  ),
  'location-scope-missing': permanent(
    409,
    'The location’s connection lacks a scope',
    'Add the scope objects/record.write to the app, then reconnect the location: only a new approval grants scopes.'
  ),
  'location-burst-exhausted': retryable(429, 'The location’s short-term HighLevel quota is used up', WAIT),
  'location-daily-exhausted': retryable(
    429,
    'The location’s daily HighLevel quota is used up',
    `${WAIT} Other integrations of the same app share this quota.`
  )
}

/** Something is wrong with this service. */
const gatewayProblems = {
  internal: permanent(500, 'Internal error', 'Report the requestId. The cause is in the gateway’s log under that id.'),
  'vault-unavailable': retryable(
    503,
    'The gateway’s database is unavailable',
    `${WAIT} Operators: check DATABASE_URL and the log.`
  ),
  'identity-provider-unavailable': retryable(
    503,
    'The identity provider cannot be reached',
    `${WAIT} Operators: check CALLER_JWKS_URL and the log.`
  ),
  overloaded: retryable(
    503,
    'Too many calls are waiting, or too many connections are open',
    `${WAIT} Send fewer calls at a time, and reuse connections. ` +
      'Operators: if the log says that connections are refused, raise the limit of open files.'
  ),
  'shutting-down': retryable(503, 'This process is shutting down', 'Send the call again: another process takes it.'),
  'deadline-exceeded': retryable(504, 'Deadline exceeded', 'Send it again; raise X-Request-Timeout-Ms if you set it.')
}

/** HighLevel failed, or changed. */
const upstreamProblems = {
  'upstream-failed': retryable(
    502,
    'The call to HighLevel failed',
    'Send the same call again later. It is safe to repeat a write of the same values.'
  ),
  'upstream-unreadable': retryable(
    502,
    'HighLevel’s answer cannot be used',
    `Read the record before you write again: ${MAYBE_STORED}`
  ),
  'upstream-contract-changed': permanent(
    502,
    'HighLevel no longer accepts calls of this form',
    `Send upstream.message to the operator: HIGHLEVEL_API_VERSION or HIGHLEVEL_API_URL may be outdated. ${MAYBE_STORED}`
  ),
  'upstream-unavailable': retryable(503, 'HighLevel is unavailable', `${WAIT} Then send the same call again.`),
  'upstream-timeout': retryable(504, 'HighLevel did not answer in time', `Send the call again. ${MAYBE_STORED}`)
}

const withSource = <Code extends string>(source: Source, rows: Record<Code, Row>) =>
  Object.fromEntries(Object.entries<Row>(rows).map(([code, row]) => [code, { ...row, source }])) as Record<
    Code,
    CatalogEntry
  >

/** Every error that a caller can get. The pages at `GET /problems/<code>` are generated from it. */
export const catalog = Object.freeze({
  ...withSource('caller', callerProblems),
  ...withSource('location', locationProblems),
  ...withSource('gateway', gatewayProblems),
  ...withSource('upstream', upstreamProblems)
})

export type ProblemCode = keyof typeof catalog
