<?php

declare(strict_types=1);

namespace Patd;

/** The answer of the server about a token. */
final class Verdict
{
    /**
     * @param string $code `valid`, or why the token is refused: see the table of verdicts in docs/errors.md of patd
     * @param ?array{id: string, type: string, name: string, email?: string} $owner
     * @param list<string> $required for `missing_ability`: the abilities that were asked for
     * @param list<string> $missing and those that the token lacks
     */
    private function __construct(
        public readonly bool $valid,
        public readonly string $code,
        public readonly ?Token $token = null,
        public readonly ?array $owner = null,
        public readonly ?string $environmentId = null,
        public readonly array $required = [],
        public readonly array $missing = [],
    ) {
    }

    /** What is known to be no token, without a question to the server. */
    public static function malformed(): self
    {
        return new self(false, 'malformed');
    }

    /** Reads an answer. Whatever is not a verdict, such as a redirect or a page of a proxy, is `Undecided`. */
    public static function read(int $status, string $body): self
    {
        if ($status === 401 || $status === 403) {
            throw new Undecided("patd refused the credential of this client ($status); it must be a token with tokens:introspect");
        }
        if ($status !== 200) {
            throw new Undecided("patd answered $status");
        }
        $data = json_decode($body, true)['data'] ?? null;
        $verdict = is_array($data) ? self::from($data) : null;
        return $verdict ?? throw new Undecided('the answer is not one of patd: check the URL and what is in front of it');
    }

    /** @param array<mixed> $data */
    private static function from(array $data): ?self
    {
        $valid = $data['valid'] ?? null;
        $code = $data['code'] ?? null;
        if (!is_bool($valid) || !is_string($code) || $valid !== ($code === 'valid')) {
            return null;
        }
        if (!$valid) {
            $required = $data['required'] ?? [];
            $missing = $data['missing'] ?? [];
            return self::areTexts($required) && self::areTexts($missing)
                ? new self(false, $code, required: $required, missing: $missing)
                : null;
        }
        $token = $data['token'] ?? null;
        $owner = $data['owner'] ?? null;
        $environment = $data['environment_id'] ?? null;
        $isGood = is_array($token)
            && self::areTexts([$token['id'] ?? null, $token['type'] ?? null])
            && self::areTexts($token['abilities'] ?? null)
            && ($owner === null || is_array($owner) && self::areTexts([$owner['id'] ?? null, $owner['type'] ?? null, $owner['name'] ?? null]))
            && ($environment === null || is_string($environment));
        try {
            return $isGood ? new self(true, $code, new Token($token), $owner, $environment) : null;
        } catch (\TypeError) {
            return null;
        }
    }

    private static function areTexts(mixed $value): bool
    {
        return is_array($value) && array_is_list($value) && array_filter($value, is_string(...)) === $value;
    }
}
