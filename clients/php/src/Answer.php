<?php

declare(strict_types=1);

namespace Patd;

/** What an application answers to its own client if it refuses a token: the same for every framework. */
final class Answer
{
    /**
     * @param array<string, string> $headers
     * @param array<string, mixed> $details
     */
    private function __construct(
        public readonly int $status,
        public readonly string $code,
        public readonly string $message,
        public readonly array $headers = [],
        private readonly array $details = [],
    ) {
    }

    /** @return array<string, mixed> the body in the form of patd's errors */
    public function body(): array
    {
        return ['message' => $this->message, 'code' => $this->code] + $this->details;
    }

    public static function noToken(): self
    {
        return new self(401, 'unauthenticated', 'Send a token as Authorization: Bearer TOKEN.', ['WWW-Authenticate' => 'Bearer']);
    }

    public static function undecided(): self
    {
        return new self(503, 'undecided', 'The token cannot be checked now. Try again.', ['Retry-After' => '1']);
    }

    /** The refusal, or null if the request may pass. */
    public static function to(Verdict $verdict, bool $acceptSessions): ?self
    {
        if ($verdict->valid) {
            return $verdict->token?->type === 'session' && !$acceptSessions
                ? new self(403, 'wrong_kind', 'A session is not accepted here. Use a token.')
                : null;
        }
        return match ($verdict->code) {
            'missing_ability' => self::missingAbility($verdict->required),
            'rate_limited' => new self(429, 'too_many_attempts', 'The token reached its limit of requests per minute.'),
            'quota_exceeded' => new self(429, 'quota_exceeded', 'The token has been used as often as its quota allows.'),
            // The same for each reason, so that a refusal tells a thief nothing.
            default => new self(401, 'unauthenticated', 'The token is not accepted.', [
                'WWW-Authenticate' => 'Bearer error="invalid_token"',
            ]),
        };
    }

    /** @param list<string> $required */
    private static function missingAbility(array $required): self
    {
        $scope = $required === [] ? '' : ', scope="' . implode(' ', $required) . '"';
        $headers = ['WWW-Authenticate' => 'Bearer error="insufficient_scope"' . $scope];
        $message = 'The token lacks an ability that is needed here.';
        return new self(403, 'missing_ability', $message, $headers, ['required' => $required]);
    }
}
