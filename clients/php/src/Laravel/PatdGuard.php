<?php

declare(strict_types=1);

namespace Patd\Laravel;

use Illuminate\Auth\GuardHelpers;
use Illuminate\Contracts\Auth\Authenticatable;
use Illuminate\Contracts\Auth\Guard;
use Illuminate\Contracts\Auth\UserProvider;
use Illuminate\Http\Request;
use Patd\Answer;
use Patd\Client;
use Patd\Undecided;
use Symfony\Component\HttpKernel\Exception\HttpException;

/**
 * A guard that checks the token of a request once. With a provider, the user is the one whose identifier is the id of the
 * owner in patd; without one, it is a `TokenUser`.
 */
final class PatdGuard implements Guard
{
    use GuardHelpers;

    /** @var array<string, Answer> the refusals of this request, by the abilities that were asked for */
    private array $refusals = [];

    public function __construct(
        private readonly Client $client,
        private Request $request,
        ?UserProvider $provider = null,
        private readonly bool $acceptSessions = false,
    ) {
        $this->provider = $provider;
    }

    /**
     * The user, or null if the token is not accepted.
     *
     * @throws HttpException 503 if that cannot be known, 429 if the limit of the token is reached
     */
    public function user(): ?Authenticatable
    {
        if ($this->user !== null) {
            return $this->user;
        }
        $refusal = $this->checkToken([]);
        if ($refusal !== null && ($refusal->status === 503 || $refusal->status === 429)) {
            // As null, it would become a 401.
            throw new HttpException($refusal->status, $refusal->message, null, $refusal->headers);
        }
        return $this->user;
    }

    /**
     * Checks the token for these abilities, all of them, and sets the user. Returns the refusal, if it is one.
     *
     * @param list<string> $abilities
     */
    public function checkToken(array $abilities): ?Answer
    {
        $key = implode(' ', $abilities);
        if (isset($this->refusals[$key])) {
            return $this->refusals[$key];
        }
        $refusal = $this->ask($abilities);
        if ($refusal !== null) {
            $this->refusals[$key] = $refusal;
        }
        return $refusal;
    }

    /** @param list<string> $abilities */
    private function ask(array $abilities): ?Answer
    {
        $isBearer = preg_match('/\Abearer +(\S.*?) *\z/i', (string) $this->request->header('Authorization'), $match);
        if ($isBearer !== 1) {
            return Answer::noToken();
        }
        try {
            $ip = filter_var($this->request->ip(), FILTER_VALIDATE_IP);
            $verdict = $this->client->verify($match[1], $abilities, $ip === false ? null : $ip);
        } catch (Undecided $error) {
            error_log('a token could not be checked: ' . $error->getMessage());
            return Answer::undecided();
        }
        $refusal = Answer::to($verdict, $this->acceptSessions);
        if ($refusal !== null) {
            return $refusal;
        }
        $user = TokenUser::of($verdict);
        if ($this->provider !== null) {
            $user = $this->provider->retrieveById($user->getAuthIdentifier());
            if ($user === null) {
                return Answer::to(\Patd\Verdict::malformed(), false);
            }
            if (method_exists($user, 'withAccessToken')) {
                $user->withAccessToken($verdict->token);
            }
        }
        $this->user = $user;
        return null;
    }

    /** @param array<string, mixed> $credentials */
    public function validate(array $credentials = []): bool
    {
        return false;
    }

    /** Forgets the user, because the next request may be of another. */
    public function setRequest(Request $request): self
    {
        $this->request = $request;
        $this->user = null;
        $this->refusals = [];
        return $this;
    }
}
