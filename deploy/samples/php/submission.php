<?php
// Client submission: mail to anybody, as a mailbox, with a token instead of a password (XOAUTH2).
//
// MAIL_FROM=scanner@contoso.com MAIL_TO=someone@elsewhere.example
// TENANT=contoso.onmicrosoft.com CLIENT_ID=... CLIENT_SECRET_FILE=/run/secrets/app
// The app registration has the role SMTP.SendAsApp, and the right to send as this mailbox: deploy/m365/app.md.
declare(strict_types=1);

use PHPMailer\PHPMailer\Exception;
use PHPMailer\PHPMailer\OAuthTokenProvider;
use PHPMailer\PHPMailer\PHPMailer;
use PHPMailer\PHPMailer\SMTP;

require 'libphp-phpmailer/autoload.php'; // Debian's; with Composer: __DIR__ . '/vendor/autoload.php'

// No other try gets a token either.
final class RefusedForGood extends Exception
{
}

// Gets a token of the app; it is good for an hour, so a program that sends more than one message keeps it.
final class AppToken implements OAuthTokenProvider
{
    public function getOauth64(): string
    {
        $authority = getenv('AUTHORITY') ?: 'https://login.microsoftonline.com';
        set_error_handler(static fn (int $level, string $words) => throw new Exception($words)); // nobody answers
        try {
            $answer = fopen("$authority/" . getenv('TENANT') . '/oauth2/v2.0/token', 'r', false, stream_context_create([
                'http' => [
                    'method' => 'POST',
                    'header' => 'Content-Type: application/x-www-form-urlencoded',
                    'content' => http_build_query([
                        'grant_type' => 'client_credentials',
                        'client_id' => getenv('CLIENT_ID'),
                        'client_secret' => trim(file_get_contents(getenv('CLIENT_SECRET_FILE'))),
                        'scope' => 'https://outlook.office365.com/.default',
                    ]),
                    'timeout' => 30,
                    'ignore_errors' => true, // a refusal has words too
                ],
            ]));
            $status = (int) explode(' ', stream_get_meta_data($answer)['wrapper_data'][0])[1];
            $found = json_decode(stream_get_contents($answer), true); // null for a page in HTML, as of a proxy
        } finally {
            restore_error_handler();
        }
        if (isset($found['access_token'])) {
            return base64_encode('user=' . getenv('MAIL_FROM') . "\1auth=Bearer {$found['access_token']}\1\1");
        }
        $words = $found['error_description'] ?? "$authority answers $status, and with no token"; // AADSTS...
        $passes = $found === null || $status === 429 || $status >= 500;
        throw $passes ? new Exception($words) : new RefusedForGood($words);
    }
}

$reply = '';
$mail = new PHPMailer(true);
try {
    $mail->isSMTP();
    $mail->SMTPDebug = SMTP::DEBUG_SERVER; // for the words of a refusal only, which its exceptions leave out in part
    $mail->Debugoutput = static function (string $line) use (&$reply): void {
        $reply = preg_match('/SERVER -> CLIENT: ([45]\d\d.*)/s', $line, $found) ? trim($found[1]) : $reply;
    };
    $mail->Host = getenv('MAIL_HOST') ?: 'smtp.office365.com';
    $mail->Port = (int) (getenv('MAIL_PORT') ?: 587);
    $mail->SMTPSecure = PHPMailer::ENCRYPTION_STARTTLS; // or no login; the server is verified by default: leave it so
    $mail->SMTPAuth = true;
    $mail->AuthType = 'XOAUTH2';
    $mail->setOAuth(new AppToken());
    $mail->Timeout = 60;
    $mail->setFrom(getenv('MAIL_FROM'));
    $mail->addAddress(getenv('MAIL_TO'));
    $mail->Subject = 'Scan 4711';
    $mail->Body = "Your scan is ready.\n";
    $mail->send();
    echo "handed over\n";
} catch (Exception $refused) {
    fwrite(STDERR, ($reply ?: $refused->getMessage()) . "\n"); // relaycanary explain says what it means
    exit($refused instanceof RefusedForGood || str_starts_with($reply, '5') ? 1 : 75); // 1: it will not get better; else keep the message and try again later
}
