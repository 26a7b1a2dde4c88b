# Lantern as a container: built with its toolchain, run without it, by a user of its own.
#
#   docker build -t lantern .
#
# The server listens on 8008 (clients) and 8448 (other servers) and keeps everything below /data.

FROM node:24-bookworm-slim AS build
WORKDIR /app
# The database driver is compiled where no prebuilt one can be had.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make python3 \
    && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY scripts/build.mjs scripts/bundle.mjs ./scripts/
COPY src ./src
RUN npm run build

FROM build AS packages
RUN npm prune --omit=dev

FROM node:24-bookworm-slim AS run
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE lantern.example.yaml ./
COPY migrations ./migrations
COPY docker/lantern.yaml ./lantern.yaml
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8008 8448
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=5 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8008/_matrix/client/versions').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--min-semi-space-size=16", "--max-semi-space-size=16", "--heap-growing-percent=50", "--no-memory-reducer", "--v8-pool-size=0", "dist/main.js"]
CMD ["start"]
