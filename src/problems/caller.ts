import type { CatalogEntry } from './entry.ts'

/** Problems that the caller mends in its request. */
export const callerProblems = {
  'invalid-json': {
    status: 400,
    retryable: false,
    title: 'The body is not valid JSON',
    remedy: 'Send one JSON document in UTF-8. Members named __proto__ are refused.'
  },
  'invalid-request': {
    status: 400,
    retryable: false,
    title: 'The request is not well formed',
    remedy:
      'Mend every fault listed in errors: pointer leads into the body, parameter names a part of the URL or a header.'
  },
  unauthenticated: {
    status: 401,
    retryable: false,
    title: 'The caller is not known',
    remedy: 'Send Authorization: Bearer with an API key that is not revoked, or with a JWT that has not expired.'
  },
  'location-forbidden': {
    status: 403,
    retryable: false,
    title: 'The caller may not touch this location',
    remedy:
      'Use a key that is bound to this location, or ask for one. The answer does not tell whether the location exists.'
  },
  'route-not-found': {
    status: 404,
    retryable: false,
    title: 'There is no such route',
    remedy: 'Compare the path with GET /openapi.json.'
  },
  'object-not-found': {
    status: 404,
    retryable: false,
    title: 'The location has no such object',
    remedy: 'Check the schema key: custom objects need the prefix custom_objects.'
  },
  'record-not-found': {
    status: 404,
    retryable: false,
    title: 'The object has no such record',
    remedy: 'Check the record id and that the record belongs to this location. It may have been deleted.'
  },
  'method-not-allowed': {
    status: 405,
    retryable: false,
    title: 'The route does not take this method',
    remedy: 'Use one of the methods in the Allow header.'
  },
  'duplicate-value': {
    status: 409,
    retryable: false,
    title: 'Another record holds this value in a unique field',
    remedy: 'Choose another value for the field in errors, or update the record that holds it.'
  },
  'precondition-failed': {
    status: 412,
    retryable: false,
    title: 'The record, or the object, was changed since it was read',
    remedy: 'Read the record again, see whether the change is still wanted, and send it with the new ETag as If-Match.'
  },
  'body-too-large': {
    status: 413,
    retryable: false,
    title: 'The body is too large',
    remedy: 'Send fewer or shorter values in one call.'
  },
  'uri-too-long': {
    status: 414,
    retryable: false,
    title: 'The URL is too long',
    remedy: 'Send only locationId and dryRun in the query.'
  },
  'unsupported-media-type': {
    status: 415,
    retryable: false,
    title: 'The body is not sent as JSON',
    remedy: 'Send Content-Type: application/json or application/merge-patch+json, uncompressed.'
  },
  'expectation-failed': {
    status: 417,
    retryable: false,
    title: 'The request expects what this gateway does not do',
    remedy: 'Send no Expect header, or Expect: 100-continue.'
  },
  'invalid-properties': {
    status: 422,
    retryable: false,
    title: 'The values do not fit the object of the location',
    remedy:
      'Mend every fault listed in errors. GET /objects/<schema key> says what each field takes. Nothing was sent where applied is no.'
  },
  'upstream-rejected': {
    status: 422,
    retryable: false,
    title: 'HighLevel refused the values',
    remedy:
      'Read upstream.message: it is in HighLevel’s words; errors says which fields it names. applied says whether something may have been stored.'
  },
  'caller-rate-limited': {
    status: 429,
    retryable: true,
    title: 'The caller sends too many calls',
    remedy: 'Wait for the seconds in Retry-After.'
  },
  'headers-too-large': {
    status: 431,
    retryable: false,
    title: 'The headers are too large',
    remedy: 'Send fewer or shorter headers; cookies are not needed.'
  }
} as const satisfies Record<string, CatalogEntry>
