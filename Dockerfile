# No install script is needed: the SQLite driver ships its binaries, and Node comes with the image. Without scripts the
# devDependency `node` stays an empty package, so the image's own Node builds and runs the service.

FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:26-bookworm-slim AS dependencies
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
# Source maps, and the SQLite driver for other platforms, would be most of the folder.
RUN npm ci --omit=dev --ignore-scripts \
  && find node_modules -name '*.map' -delete \
  && cd node_modules/better-sqlite3 \
  && rm -r deps src \
  && find prebuilds -type f ! -name "linux-$(node -p process.arch).node" -delete

FROM node:26-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# The only place that the service writes to; the code belongs to root.
RUN install -d -o node -g node -m 700 data
VOLUME /app/data
USER node
# The admin port (3001) listens inside the container only, unless ADMIN_HOST says otherwise.
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/server.js"]
