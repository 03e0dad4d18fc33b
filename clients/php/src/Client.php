<?php

declare(strict_types=1);

namespace Patd;

/** Checks tokens. Share one client: it keeps its connection open. */
final class Client
{
    /** The largest answer that is read, in bytes. A verdict has at most some tens of kilobytes. */
    private const MAX_ANSWER = 1024 * 1024;

    private readonly string $url;
    /** Not in the output of var_dump and print_r. */
    private readonly \SensitiveParameterValue $authorization;
    private ?\CurlHandle $curl = null;
    private int $process = 0;

    /**
     * A client of the server at `$url`. `$token` is its own credential, which needs the ability `tokens:introspect`.
     *
     * `$cache` is a cache of PSR-16, such as that of Laravel, which remembers accepted tokens for `$cacheMaxAge` seconds, and
     * not beyond their expiry. **This gives up the exactness of revocation:** a token that was revoked, disabled or rotated
     * may be accepted for as long. Uses that the cache answers count for no rate and no quota.
     *
     * @param float $connectTimeout how long a connection may take, in seconds
     * @param float $timeout how long a check may take in all, in seconds
     */
    public function __construct(
        string $url,
        #[\SensitiveParameter] string $token,
        private readonly float $connectTimeout = 1.0,
        private readonly float $timeout = 2.0,
        private readonly ?object $cache = null,
        private readonly int $cacheMaxAge = 0,
    ) {
        $parts = parse_url($url);
        $isUrl = is_array($parts) && in_array($parts['scheme'] ?? '', ['http', 'https'], true) && ($parts['host'] ?? '') !== '';
        if (!$isUrl || array_intersect_key($parts, ['user' => 1, 'pass' => 1, 'query' => 1, 'fragment' => 1]) !== []) {
            throw new \InvalidArgumentException('the URL must be like https://patd.example.com, without user, query and fragment');
        }
        // An error must not show the token.
        if (preg_match('/\A[\x21-\x7e]+\z/', $token) !== 1) {
            throw new \InvalidArgumentException('the token of this client is empty or has characters that no token has');
        }
        if ($connectTimeout < 0.001 || $timeout < 0.001 || ($cache !== null && $cacheMaxAge < 1)) {
            throw new \InvalidArgumentException('the timeouts must be positive, and a cache needs cacheMaxAge');
        }
        $this->url = rtrim($url, '/') . '/api/v1/tokens/verify';
        $this->authorization = new \SensitiveParameterValue("Authorization: Bearer $token");
    }

    /**
     * Asks whether `$token` is valid and has all `$abilities`.
     *
     * `$ip` is the address from which the token was sent. Without it, tokens with an `ip_allowlist` are refused.
     *
     * @param list<string> $abilities
     * @throws Undecided if that cannot be known
     */
    public function verify(#[\SensitiveParameter] string $token, array $abilities = [], ?string $ip = null): Verdict
    {
        if ($token === '') {
            return Verdict::malformed();
        }
        $question = ['token' => $token, 'abilities' => array_values($abilities)] + ($ip === null ? [] : ['ip' => $ip]);
        try {
            $body = json_encode($question, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
        } catch (\JsonException) {
            throw new Undecided('the question cannot be written');
        }
        // A hash, so that the cache does not hold secrets.
        $key = 'patd.' . hash('sha256', $body);
        $answer = $this->cache?->get($key);
        $cached = is_string($answer) ? Verdict::read(200, $answer) : null;
        // Checked here, because a cache may round the time for which it keeps an entry.
        if ($cached?->token?->hasExpired() === false) {
            return $cached;
        }
        [$status, $answer] = $this->ask($body);
        $verdict = Verdict::read($status, $answer);
        if ($verdict->token?->hasExpired() === false) {
            $this->cache?->set($key, $answer, $this->cacheMaxAge);
        }
        return $verdict;
    }

    /** @return array{int, string} */
    private function ask(#[\SensitiveParameter] string $body): array
    {
        $answer = '';
        $curl = $this->handle();
        curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
        curl_setopt($curl, CURLOPT_WRITEFUNCTION, static function ($curl, string $chunk) use (&$answer): int {
            $answer .= $chunk;
            // Another number than that of the bytes ends the request.
            return strlen($answer) > self::MAX_ANSWER ? -1 : strlen($chunk);
        });
        if (curl_exec($curl) === false) {
            throw new Undecided('no answer from patd: ' . curl_error($curl));
        }
        return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $answer];
    }

    private function handle(): \CurlHandle
    {
        // After a fork, both processes would read the answers of one connection: a check could get the verdict of another.
        if ($this->curl !== null && $this->process === getmypid()) {
            return $this->curl;
        }
        $curl = curl_init($this->url);
        curl_setopt_array($curl, [
            CURLOPT_POST => true,
            // Without Expect, curl does not wait for a 100.
            CURLOPT_HTTPHEADER => [$this->authorization->getValue(), 'Content-Type: application/json', 'Expect:'],
            CURLOPT_CONNECTTIMEOUT_MS => (int) ($this->connectTimeout * 1000),
            CURLOPT_TIMEOUT_MS => (int) ($this->timeout * 1000),
            CURLOPT_NOSIGNAL => true,
            // The credential must not go to another place.
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROXY => '',
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            // The server closes idle connections after 75 seconds (server.keep_alive). The client must be first.
            CURLOPT_MAXAGE_CONN => 30,
        ]);
        $this->process = getmypid();
        return $this->curl = $curl;
    }
}
